"""What every bucket promises (`tocsin.stores.port`), as one suite.

A store's test module derives a class from `BucketContract` and gives it the fixture `store`.
"""

import itertools
import threading
from collections.abc import Callable
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.model.errors import Invalid
from tocsin.stores.port import Bucket

NAME = "v1/utopia/keyset/00ff"
RACERS = 8
NUMBERS = itertools.count()
BAD_NAMES = [
    "",
    "/v1",
    "v1/",
    "v1//head",
    ".",
    "..",
    "../keys",
    "v1/../../keys",
    "v1/.hidden",
    ".lock",
    "v1\\head",
    "v1/he\0ad",
    "v1/he\nad",
    "v1/he ad",
    "v1/\ud800",
    "v1/ünsafe",
    "v1/" + "a" * 300,
]


class Store(Protocol):
    """How to come by buckets of one kind; each test has a place of its own for one."""

    def open(self) -> Bucket:
        """The bucket, as one more process would have it."""
        ...


class BucketContract:
    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def bucket(self, store: Store) -> Bucket:
        return store.open()

    def test_nothing_is_there_at_first(self, bucket: Bucket) -> None:
        assert bucket.read(NAME) is None and bucket.length(NAME) is None
        assert bucket.read("v1") is None and bucket.length("v1") is None

    def test_what_is_made_is_read_by_all(self, bucket: Bucket, store: Store) -> None:
        assert bucket.create(NAME, b"one")
        assert store.open().read(NAME) == bucket.read(NAME) == b"one"
        assert bucket.length(NAME) == 3

    def test_an_object_is_made_once_and_never_changes(self, bucket: Bucket, store: Store) -> None:
        """Case 5: a published object never changes."""
        assert bucket.create(NAME, b"one")
        assert not bucket.create(NAME, b"another")
        assert not store.open().create(NAME, b"another")
        assert bucket.read(NAME) == b"one"

    def test_an_empty_object_is_one(self, bucket: Bucket) -> None:
        assert bucket.create(NAME, b"")
        assert bucket.read(NAME) == b""
        assert not bucket.create(NAME, b"another")
        assert not bucket.replace(NAME, b"another", None)

    def test_a_name_is_swapped_only_for_what_it_holds(self, bucket: Bucket, store: Store) -> None:
        other = store.open()
        assert not bucket.replace("v1/head", b"one", b"zero"), "it is absent"
        assert bucket.read("v1/head") is None
        assert bucket.replace("v1/head", b"one", None)
        assert not other.replace("v1/head", b"two", None)
        assert not other.replace("v1/head", b"two", b"on")
        assert other.read("v1/head") == b"one"
        assert other.replace("v1/head", b"two", b"one")
        assert bucket.read("v1/head") == b"two"

    def test_what_is_there_is_listed_and_can_be_removed(self, bucket: Bucket, store: Store) -> None:
        names = {"v1/head", "v1/xx/keyset/" + "0a" * 32, "one"}
        for name in names:
            bucket.create(name, b"data")
        listed = dict(store.open().listed())
        assert set(listed) == names and all(written_at > 1_600_000_000 for written_at in listed.values())
        bucket.remove("one")
        bucket.remove("one")
        assert bucket.read("one") is None and set(dict(bucket.listed())) == names - {"one"}
        assert bucket.create("one", b"again") and bucket.read("one") == b"again"
        with pytest.raises(Invalid):
            bucket.remove("../one")

    def test_a_folder_of_objects_is_no_object(self, bucket: Bucket) -> None:
        bucket.create(NAME, b"one")
        assert bucket.read("v1/utopia") is None
        assert bucket.read(f"{NAME}/below") is None

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_names_that_are_none(self, bucket: Bucket, name: str) -> None:
        """No name leads out, to a hidden file, or to something that cannot be told apart in a log."""
        for use in (
            lambda: bucket.create(name, b""),
            lambda: bucket.replace(name, b"", None),
            lambda: bucket.read(name),
            lambda: bucket.length(name),
        ):
            with pytest.raises(Invalid, match="name"):
                use()

    def test_of_many_that_make_an_object_at_once_one_does(self, store: Store) -> None:
        for turn in range(10):
            name = f"{NAME}{turn}"
            won = race(lambda racer: store.open().create(name, b"%d" % racer * 10_000))  # noqa: B023
            assert len(won) == 1
            assert store.open().read(name) == b"%d" % won[0] * 10_000

    def test_of_many_that_swap_at_once_one_does(self, store: Store) -> None:
        """Case 52: two publishers never put out two heads after one."""
        head: bytes | None = None
        for _ in range(10):
            won = race(lambda racer: store.open().replace("v1/head", b"%d" % racer * 10_000, head))  # noqa: B023
            assert len(won) == 1
            assert store.open().read("v1/head") == b"%d" % won[0] * 10_000
            assert store.open().replace("v1/head", b"next", b"%d" % won[0] * 10_000)
            head = b"next"

    def test_an_object_made_by_many_at_once_is_whole_for_every_reader(self, bucket: Bucket, store: Store) -> None:
        """Two publishers make the same object: whoever reads it meanwhile sees all of it or nothing."""
        data = b"x" * 1_000_000
        seen: set[bytes | None] = set()
        for turn in range(5):
            name = f"{NAME}{turn}"
            done = threading.Event()

            def watch(name: str = name, done: threading.Event = done) -> None:
                while not done.is_set():
                    seen.add(bucket.read(name))

            watcher = threading.Thread(target=watch)
            watcher.start()
            race(lambda racer: store.open().create(name, data))  # noqa: B023
            done.set()
            watcher.join()
            assert bucket.read(name) == data
        assert seen <= {None, data}

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["create", "replace"]),
                st.sampled_from(["head", "object"]),
                st.sampled_from([b"", b"1", b"2"]),
                st.sampled_from([None, b"", b"1", b"2"]),
            ),
            max_size=12,
        ),
    )
    def test_any_history_is_that_of_a_dictionary(
        self, bucket: Bucket, history: list[tuple[str, str, bytes, bytes | None]]
    ) -> None:
        place = f"history-{next(NUMBERS)}"
        held: dict[str, bytes] = {}
        for act, short, data, expected in history:
            name = f"{place}/{short}"
            if act == "create":
                assert bucket.create(name, data) is (name not in held)
                held.setdefault(name, data)
            else:
                assert bucket.replace(name, data, expected) is (held.get(name) == expected)
                if held.get(name) == expected:
                    held[name] = data
            assert bucket.read(name) == held.get(name)


def race(attempt: Callable[[int], bool]) -> list[int]:
    """Lets so many racers try at once; those who were told that they did it. Whatever one raises is raised."""
    ready = threading.Barrier(RACERS)
    won: list[int] = []
    raised: list[BaseException] = []

    def run(racer: int) -> None:
        ready.wait()
        try:
            if attempt(racer):
                won.append(racer)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(racer,)) for racer in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
    return won
