"""The few connections of one process to a journal in PostgreSQL: made when needed, used again, never more than so many.

A connection that died while nobody used it (a fail-over, a firewall) is found out by what is asked first on it, and
that is asked once more on a new one: nothing has been stored by then.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from tocsin.journal.port import Durability
from tocsin.journal.postgres_connection import JournalConnection, Translated, connect
from tocsin.model.errors import Unavailable

_T = TypeVar("_T")


class Pool:
    """At most `most` connections to `url`. May be used from any thread, and not in a forked process."""

    def __init__(self, url: str, durability: Durability, most: int) -> None:
        self._url = url
        self._durability = durability
        self._free = threading.BoundedSemaphore(most)
        self._idle: list[JournalConnection] = []

    @contextmanager
    def asked(
        self, first: Callable[[JournalConnection], _T], deadline_seconds: float, busy: str
    ) -> Iterator[tuple[JournalConnection, _T]]:
        """A connection for the length of the block, and the answer to `first`, which may be asked twice.

        No transaction outlives the block. Raises `Unavailable`, with the sentence `busy`, if none is free in time.
        """
        if not self._free.acquire(timeout=max(deadline_seconds, 0)):
            raise Unavailable(busy)
        try:
            connection, answer = self._first(first)
            try:
                yield connection, answer
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Closes those that are idle; one in use is closed by whoever gives it back to nobody."""
        while self._idle:
            self._idle.pop().close()

    def _first(self, first: Callable[[JournalConnection], _T]) -> tuple[JournalConnection, _T]:
        with suppress(IndexError):
            used = self._idle.pop()
            try:
                return used, self._ask(used, first)
            except Unavailable:
                if used.timed_out or not used.closed:
                    raise
            self.close()  # what ended this one has ended the others
        fresh = connect(self._url, self._durability)
        return fresh, self._ask(fresh, first)

    def _ask(self, connection: JournalConnection, first: Callable[[JournalConnection], _T]) -> _T:
        try:
            with Translated():
                return first(connection)
        except BaseException:
            self._give_back(connection)
            raise

    def _give_back(self, connection: JournalConnection) -> None:
        try:
            if connection.pgconn.transaction_status != TransactionStatus.IDLE and not connection.closed:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()  # the server undoes what is open
        if not connection.closed:
            self._idle.append(connection)
