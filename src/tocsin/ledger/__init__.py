"""The ledger: what the journal up to a sequence number amounts to. Pure; nothing changes it but an event.

Read `state` (what there is), `predicates` (each question that both rules and fold ask), `fold` (event → ledger),
`queries` (what is public, what waits, what a delta says; now is an argument).
"""
