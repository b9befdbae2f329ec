"""The archive under processes that are killed, an older term, a store that is away and a disk that is full.

Whatever happens, it holds the journal's first events, each once; what could not be archived is archived later; and no
version is out whose event it lacks.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tests.faults.link import Link
from tests.faults.object_store import ObjectStore
from tests.faults.servers import ROOT, Server, until
from tests.faults.test_processes_beside_each_other import set_clock
from tests.sites import FixedClock, Site, by, report
from tocsin.cli import main
from tocsin.journal.archive import Archive, open_archive
from tocsin.journal.encoding import StoredEvent, decode_body
from tocsin.model.calls import Verdict
from tocsin.model.errors import Refused
from tocsin.model.events import Published
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS
from tocsin.rules.issuance import add_provider
from tocsin.service.deployment import Deployment
from tocsin.stores.place import place_at

pytestmark = pytest.mark.faults

MOST_STEPS = 1_000
KILLS = 8


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site", FixedClock())
    yield made
    made.deployment.close()


def give_archive(site: Site, url: str) -> None:
    """An archive to which processes archive each second; their clock is the site's as it stands."""
    site.with_archive(url)
    with site.deployment.folders.settings.open("a", encoding="utf-8") as settings:
        settings.write("every_seconds = 1\n")
    set_clock(site.top, site.clock.at)


def archived_by(url: str) -> list[StoredEvent]:
    """All that the archive holds, its chain proven."""
    archive = open_archive(place_at(url))
    archive.prove()
    return [event for page in archive.read() for event in page]


def killed(site: Site, step: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_archiver", str(site.top), str(site.clock.at), str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_archiver_killed_at_any_step(site: Site, archive_url: str) -> None:
    """Between file and commit too, and while it puts a day together: on one archive, so that what is left piles up."""
    site.with_archive(archive_url)
    serials = iter(range(100))

    def live_a_day() -> list[StoredEvent]:
        """There is a day to be put together, and an event to be archived."""
        for _ in range(2):
            serial = next(serials)
            site.report(f"ada {serial}", serial)
            assert site.deployment.archiver is not None
            site.deployment.archiver.catch_up()
        site.clock.wait(DAY_SECONDS)
        site.name_day_keys()
        serial = next(serials)
        site.report(f"ada {serial}", serial)
        return site.deployment.journal.read(0)

    live_a_day()
    whole = killed(site, MOST_STEPS)
    assert whole.returncode == 0, whole.stderr
    steps = MOST_STEPS - int(whole.stdout)
    lengths = set()
    for kill in range(KILLS):
        journal = live_a_day()
        ran = killed(site, kill * steps // KILLS)
        assert ran.returncode == -9, ran.stderr
        found = archived_by(archive_url)
        assert found == journal[: len(found)]
        lengths.add(len(journal) - len(found))
    assert len(lengths) == 2, "some kills came before the commit, and some behind"
    journal = live_a_day()
    assert killed(site, MOST_STEPS).returncode == 0
    assert archived_by(archive_url) == journal
    assert len(open_archive(place_at(archive_url)).held().loose_days) <= 1, "what the dead left undone is done"


def test_archivers_of_an_older_and_a_newer_term(site: Site, object_store: ObjectStore, tmp_path: Path) -> None:
    """Two archive one journal, and one is killed; a rebuilt journal rules, and the old one's archiver is told."""
    with object_store.opened():
        url = object_store.new_url()
        give_archive(site, url)
        one, other = (archiver(site.top, tmp_path / name) for name in ("one", "other"))
        archive = open_when_made(url)
        until("all of it", lambda: archive.tip().sequence == site.deployment.journal.tip().sequence)
        one.kill()
        site.report("ada", 0)
        until("the other goes on", lambda: archive.tip().sequence == site.deployment.journal.tip().sequence)

        new, keys = tmp_path / "new", site.top / "keys"
        words = ["rebuild", "--archive", url, "--keys", str(keys), "--settings", str(site.top / "tocsin.toml")]
        assert main([*words, "--data", str(new)], site.clock) == 0
        fenced = archive.tip()
        assert fenced.term == 2
        site.report("bob", 1)
        until("the old one is told", lambda: "term 2" in other.err)
        set_clock(new, site.clock.at)
        with closing(Deployment(new, site.clock)) as rebuilt:
            newer = archiver(new, tmp_path / "newer")
            rebuilt.performer().act(lambda ledger, now: add_provider(ledger, "B", by("B")))
            until("the new one archives", lambda: archive.tip().sequence > fenced.sequence)
            assert archived_by(url) == rebuilt.journal.read(0)
        assert archive.tip().term == 2
        other.stop()
        newer.stop()


def archiver(top: Path, said: Path) -> Server:
    """`tocsin archive run`, its clock the file in the folder."""
    return Server(said, ["tests.faults.seamed", str(top), said.name, "0", "archive", "run"])


def open_when_made(url: str) -> Archive:
    opened: list[Archive] = []

    def is_made() -> bool:
        try:
            opened.append(open_archive(place_at(url)))
        except Refused:
            return False
        return True

    until("an archive", is_made)
    return opened[-1]


def test_a_folder_on_a_disk_that_is_full(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is tried again every few seconds, with more events each time; what could not be written is not left there."""
    folder = tmp_path / "archive"
    folder.mkdir(mode=0o700)
    with disk(folder, 1_000) as small:
        give_archive(site, str(folder))
        assert "No space left" in outlive(site, str(folder), tmp_path, small.fill, small.free, capsys, "archive_behind")
        assert [path for path in folder.rglob("*") if path.name[0] == "." or "#" in path.name] == []


def test_a_bucket_that_is_away(
    site: Site, object_store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Link(object_store.port) as link, ObjectStore(link.port).opened():
        url = object_store.new_url()
        give_archive(site, url)
        outlive(site, url, tmp_path, link.cut, link.mend, capsys, "archive_away")


def outlive(
    site: Site,
    url: str,
    tmp_path: Path,
    away: Callable[[], None],
    back: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    finding: str,
) -> str:
    """A server takes reports while its archive is `away`, and puts nothing out; then it is `back`. Returns what it
    said."""

    def pass_quarters(number: int) -> None:
        site.clock.wait(number * QUARTER_SECONDS)
        set_clock(site.top, site.clock.at)

    def take(serial: int) -> None:
        assert server.verdict(report(f"ada {serial}", site.cards[serial], 2, site.clock.at).body) is Verdict.TAKEN

    def said(*words: str) -> tuple[int, str]:
        code = main([*words, "--data", str(site.top), "--json"], site.clock)
        return code, capsys.readouterr().out

    server = Server.seamed(site.top, tmp_path / "server")
    take(0)
    pass_quarters(1)
    until("the first version", lambda: server.versions == [1])
    before = archived_by(url)
    away()
    for serial in range(1, 4):
        take(serial)
        pass_quarters(1)
        until("both threads are in trouble", lambda: server.err.count("can't be used") >= 2)
    assert server.versions == [1]
    assert said("archive", "status")[0] == 1
    code, found = said("doctor")
    assert code == 1 and finding in [each["code"] for each in json.loads(found)["findings"]]
    back()
    until("the next version", lambda: server.versions[-1] > 1)
    archived = archived_by(url)
    last = max(body.version for event in archived if isinstance(body := decode_body(event.kind, event.body), Published))
    assert archived[: len(before)] == before and last >= server.versions[-1]
    until("it is level", lambda: archived_by(url) == site.deployment.journal.read(0))
    assert said("archive", "status")[0] == 0
    server.stop()
    return server.err
