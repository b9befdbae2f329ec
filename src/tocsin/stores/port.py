"""What publication asks of a bucket, with the guarantees that its order of steps rests on."""

from collections.abc import Iterator
from typing import Protocol


class Bucket(Protocol):
    """Named objects. Those made by `create` never change; a name changed by `replace` is only ever swapped whole.

    Every method raises `Unavailable` if the store can't be reached or says no, and may then be called again.
    """

    def create(self, name: str, data: bytes) -> bool:
        """Makes object `name`, durable when this returns; False, and no change, if there is one of that name."""
        ...

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        """Compare-and-swap: durable when True; False, and no change, if `name` does not hold `expected`."""
        ...

    def read(self, name: str) -> bytes | None:
        """The object, or None if there is none of that name."""
        ...

    def listed(self) -> Iterator[tuple[str, int]]:
        """The name of every object, and when it was written, in UTC seconds by the store's clock; in any order."""
        ...

    def remove(self, name: str) -> None:
        """Removes the object, durable when this returns; nothing happens if there is none of that name."""
        ...

    def length(self, name: str) -> int | None:
        """The object's length in bytes, or None if there is none of that name: a look that fetches nothing."""
        ...
