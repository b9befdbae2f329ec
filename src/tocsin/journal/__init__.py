"""The append-only record of events: append, read, load, erase. Everything else that tocsin knows is computed from it.

The room promises:

- Events are numbered 1, 2, 3 … without a gap and chained by digest; what is read has been committed, in order, and no
  event ever arrives late under a lower number.
- A group of events is stored whole or not at all, and is durable when its block ends without an exception. A group
  without events syncs as well, so that a refusal takes as long as a report.
- A claim is held by one event for ever, whichever process asks.
- What may have to be erased (`content`) is sealed under its day's key from the first event on; numbering, chain and
  claims are proven without any key, before and after erasing.
- Erasing a day takes away its sealed content and nothing else; its bytes then leave the engine's own files where it
  has that in hand: PostgreSQL keeps them, unreadable, until it needs the room.

Read in this order: `encoding` (an event's bytes), `content` (what is sealed), `port` (what an engine promises),
`verify`, then the engine of one machine: `sqlite`, with `sqlite_connection`, `turn` and `disk`; then that of several:
`postgres`, with `postgres_pool`, `postgres_connection`, `postgres_schema` and `migrations`; `copy` moves a journal from
one to the other. The byte page is ``docs/formats/events.md``.
"""
