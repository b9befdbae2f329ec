"""Who may do what: ledger, request, policy and now give events or a refusal."""
