"""Who may do what: each rule takes (ledger, request, policy, now) and gives drafts of events, or says no. Pure.

The rows are in ``docs/rules.md``; comments here name them. Read `intake` (the apps' call, in the order of its steps),
`key_checks` and `code_checks` (what it asks of each key and of the code), then `attribution`, `issuance` with its
`quotas`, `suspension` and `corrections` (acts of people), and `preview` (what such an act would change). Whoever asks a
rule appends its drafts; the ledger must be at the tip then, so ask inside the append.
"""
