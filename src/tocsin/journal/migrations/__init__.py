"""The schema of the journal in PostgreSQL, version by version, for Alembic.

A migration is never changed once it is released. Widen first, then move data, then narrow, each in a release of its
own: collectors of two releases run side by side while a region is updated (``docs/decisions/0046-alembic.md``).
"""
