"""Measurements of the main job, each against something in the same run. `python -m benchmarks` prints one table.

Read `intake` (what a caller waits for), `public_set` (fold and publication), `matching`, then what they stand on:
`site` (a real deployment and its reports), `server` (a child process), `memory_journal`, `wrk`, `table`, `machine`.
`profiles` tells where the time goes. How to read the figures: ``docs/benchmarks.md``.
"""
