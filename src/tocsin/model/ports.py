"""Ports: what the pure rooms and the engines ask of the world, as protocols. `service` holds the real ones."""

from typing import Protocol

from tocsin.model.times import Day, Instant


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> Instant:
        """The present instant. Raises `Unavailable` if the clock can't be trusted."""
        ...


class DayKeys(Protocol):
    """The keys under which content is sealed, one a UTC day."""

    def day_key(self, day: Day) -> bytes | None:
        """The 32-byte key of that day, or None if it is not made yet or destroyed."""
        ...


class Signer(Protocol):
    """A private key with one purpose. It may live in software or in hardware."""

    def sign(self, message: bytes) -> bytes:
        """The signature over `message`, in the form of the key's purpose."""
        ...
