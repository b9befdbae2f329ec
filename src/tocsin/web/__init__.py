"""HTTP, and nothing but HTTP: what is asked is judged in `rules` and done by `service`.

Promises: an answer tells nothing that its reader should not learn (one size, one set of headers, one grid of instants
for every call of an app); no input comes back in any answer; no request is logged; a slow or endless client costs a
bounded amount of time and memory.

Read `apps.intake` (the one call), `apps.grid`, `apps.files` (what is handed out), `problems` (every other answer),
`apps.app` (the routes), `apps.openapi` (the same for programs), `connection` (the limits of a connection), `server`.
"""
