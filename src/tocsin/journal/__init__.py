"""The append-only record of events: append, read, load."""
