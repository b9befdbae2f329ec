"""From ledger to public files: plan (decide), build (bytes), sign, release.

Read `plan` (what the next version is; a pure rule), `build` (its bytes; a pure function), `index`, `sign`, `release`
(the order of steps, and what a crash leaves). Appending the decision to the journal is the service's part.
"""
