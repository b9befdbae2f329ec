"""The ground that every room stands on: keys, times, calls, events, policy, errors. Pure.

Read in this order: `times`, `keys`, `calls`, `events`, `claims`, `policy`, `code_reading`, `errors`, `ports`; `labels`
and `base64url` when a byte layout is at hand.
"""
