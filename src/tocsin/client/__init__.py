"""What an app does, as a reference for app developers: report and take back, sync, match.

Pure: the network is a function handed in, chance and the time are arguments, and state is a value that is replaced
whole. Read in this order: `calls` (report, track, withdraw, decoy), `trust` (what is pinned), `sync` (head, dump,
delta, refusals), `apply` (a delta), `match` (sightings), `ephemeral_ids` (the cryptography of GAEN).
"""
