"""The publisher's thread: it goes on, whatever happens, and leaves no version out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site, loop_of
from tocsin.formats.leaf import parse_head_text
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.service.deployment import head_verifier
from tocsin.service.publish import Out, Publisher
from tocsin.service.serve import RETRY_SECONDS
from tocsin.stores.folder import FolderBucket
from tocsin.transparency.note import verify_note


class FailingBucket(FolderBucket):
    """Says no to the next `failures` objects."""

    failures = 0

    def create(self, name: str, data: bytes) -> bool:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the bucket is away")
        return super().create(name, data)


@pytest.fixture
def site(tmp_path: Path, clock: FixedClock) -> Iterator[Site]:
    made = Site(tmp_path / "deployment", clock)
    made.deployment.bucket = FailingBucket(made.deployment.folders.bucket)
    yield made
    made.deployment.close()


class Watched:
    """A loop and what it told."""

    def __init__(self, site: Site) -> None:
        self.out: list[Out] = []
        self.trouble: list[str | None] = []
        self.loop = loop_of(site.deployment, self.make_publisher(site), site.clock, self.trouble.append)

    def make_publisher(self, site: Site) -> Publisher:
        return site.deployment.publisher(self.out.append)

    @property
    def versions(self) -> list[int]:
        return [out.version for out in self.out]


def test_it_publishes_each_step_and_sleeps_until_the_next(site: Site, clock: FixedClock) -> None:
    watched = Watched(site)
    assert watched.loop.round() == 60 and watched.versions == []
    clock.wait(QUARTER_SECONDS - 20)
    assert watched.loop.round() == 20
    clock.wait(20)
    watched.loop.round()
    watched.loop.round()
    assert watched.versions == [1] and watched.trouble == []


def test_a_failure_is_told_once_tried_again_and_no_version_is_left_out(site: Site, clock: FixedClock) -> None:
    watched = Watched(site)
    bucket = site.deployment.bucket
    assert isinstance(bucket, FailingBucket)
    site.report("one", 0)
    clock.wait(QUARTER_SECONDS)
    bucket.failures = 2
    assert [watched.loop.round(), watched.loop.round()] == [RETRY_SECONDS] * 2
    assert watched.trouble == ["the bucket is away"]
    clock.wait(QUARTER_SECONDS)
    watched.loop.round()
    assert watched.versions == [1, 2]
    assert watched.trouble == ["the bucket is away", None]
    head = bucket.read("v1/head")
    assert head is not None
    verifier = head_verifier(site.deployment.settings, site.deployment.keys)
    assert parse_head_text(verify_note(head, [verifier]), verifier.name).version == 2


def _err(publisher: Publisher) -> int:
    raise KeyError("absent")


def test_a_bug_does_not_end_it(site: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(site)
    clock.wait(QUARTER_SECONDS)
    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "publish", _err)
        watched.loop.round()
    watched.loop.round()
    assert watched.versions == [1]
    assert watched.trouble[0] is not None and "KeyError" in watched.trouble[0] and watched.trouble[1] is None


def test_day_keys_are_made_ahead(site: Site, clock: FixedClock) -> None:
    clock.wait(3 * DAY_SECONDS)
    tenth = day_of(clock.now() + 7 * DAY_SECONDS)
    assert not site.deployment.keys.has_day_key(tenth)
    Watched(site).loop.round()
    assert site.deployment.keys.has_day_key(tenth)


def test_a_clock_that_cannot_be_trusted_is_told(site: Site) -> None:
    class Lost:
        def now(self) -> None:
            raise Unavailable("the clock was set")

    trouble: list[str | None] = []
    loop = loop_of(site.deployment, site.deployment.publisher(), Lost(), trouble.append)  # type: ignore[arg-type]
    assert loop.round() == RETRY_SECONDS
    assert trouble == ["the clock was set"]


def test_it_starts_and_stops(site: Site, clock: FixedClock) -> None:
    watched = Watched(site)
    clock.wait(QUARTER_SECONDS)
    watched.loop.start()
    watched.loop.stop()
    assert watched.versions in ([], [1])


def test_a_lost_key_of_today_is_told_by_the_first_round_until_it_is_back(site: Site, clock: FixedClock) -> None:
    """Publishing is well without it: a server that takes no report must not look healthy."""
    today = site.deployment.keys.folder / "days" / str(day_of(clock.now()))
    key = today.read_bytes()
    today.unlink()
    watched = Watched(site)
    assert watched.loop.round() == RETRY_SECONDS
    [trouble] = watched.trouble
    assert trouble is not None and today.name in trouble and "restore" in trouble and "503" in trouble
    today.touch(mode=0o600)
    today.write_bytes(key)
    assert watched.loop.round() == 60
    assert watched.trouble == [trouble, None]
