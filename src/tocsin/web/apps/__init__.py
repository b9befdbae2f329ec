"""What apps ask for, anonymously: one call to post, and static files to fetch.

Promises: an observer sees one size, one status and one set of headers for every call, and its answer leaves on a grid
of instants; nothing is looked at before the last byte is in; files are handed out as they lie in the bucket, and no
name leads out of it. The page is ``docs/formats/http.md``.

Read in this order: `intake` (the call), `grid` (when an answer leaves), `files` (what is fetched), `app` (the routes),
`openapi` (the same for programs).
"""
