"""A journal's file that was damaged, page by page: noticed before anything is answered from it, and said what is whole.

The disk returns other bytes than were written, a file is cut short, or another file lies in its place.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site
from tocsin.cli import main
from tocsin.journal import sqlite
from tocsin.journal.port import Broken, Durability, Tip
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, TocsinError
from tocsin.model.keys import KeyKind
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.deployment import Deployment

pytestmark = pytest.mark.faults

PAGE_BYTES = 4096
FLIPS_A_PAGE = 12
REPORTS = 100
JOURNAL = Path("journal") / "journal.sqlite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tip]:
    """A stopped deployment whose journal has pages of every kind, and its tip."""
    top = tmp_path_factory.mktemp("site") / "whole"
    site = Site(top, FixedClock(), cards=REPORTS)
    for serial in range(REPORTS):
        site.report(f"phone {serial}", serial, days=14)
    site.clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()  # moves of a hundred reports: longer than a page
    tip = site.deployment.journal.tip()
    site.deployment.close()
    with closing(sqlite3.connect(top / JOURNAL)) as shell:  # pages that are free
        shell.executescript("CREATE TABLE gone (x); INSERT INTO gone VALUES (randomblob(20000)); DROP TABLE gone")
    return top, tip


@pytest.fixture
def copy(whole: tuple[Path, Tip], tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole[0], tmp_path / "copy"))


def test_there_are_pages_of_every_kind(whole: tuple[Path, Tip]) -> None:
    kinds = set()
    data = (whole[0] / JOURNAL).read_bytes()
    for start in range(PAGE_BYTES, len(data), PAGE_BYTES):
        kinds.add(data[start])
    assert {0x05, 0x0D, 0x02, 0x0A, 0x00} <= kinds, "table and index, interior and leaf; overflow or free"


def proven(path: Path) -> Tip | TocsinError:
    """What `tocsin journal verify` finds."""
    try:
        with closing(sqlite.open(path, Durability.WAIVED)) as journal:
            return verify(journal)
    except TocsinError as error:
        return error


def folded(top: Path) -> tuple[int, bytes, int] | TocsinError:
    """What a server would answer from: events, the set digest's ingredients, or why it does not."""
    try:
        with closing(Deployment(top, FixedClock())) as deployment:
            performer = deployment.performer()
            performer.catch_up()
            ledger = performer.ledger
            return ledger.sequence, ledger.keys[KeyKind.GAEN]["record"][:].tobytes(), ledger.version
    except TocsinError as error:
        return error


def damages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Flipped bits in every page, several each, where a page is dense and where it is not."""
    chance = random.Random(7)
    for start in range(0, len(data), PAGE_BYTES):
        for offset in (0, 3, 5, 8, *(chance.randrange(PAGE_BYTES) for _ in range(FLIPS_A_PAGE - 4))):
            changed = bytearray(data)
            changed[start + offset] ^= 1 << chance.randrange(8)
            yield start + offset, bytes(changed)


def test_a_flipped_bit_anywhere(copy: Path, whole: tuple[Path, Tip]) -> None:
    """Either nothing changes by it, or it is refused in our words; no other journal is ever proven, none folded."""
    tip, right = whole[1], folded(whole[0])
    assert not isinstance(right, TocsinError)
    path = copy / JOURNAL
    data = path.read_bytes()
    noticed = 0
    for place, changed in damages(data):
        path.write_bytes(changed)
        for leftover in (f"{path}-wal", f"{path}-shm"):
            Path(leftover).unlink(missing_ok=True)
        found, told = proven(path), folded(copy)
        if isinstance(found, TocsinError):
            noticed += 1
            assert "restore" in str(found) or "update tocsin" in str(found), (place, found)
            if isinstance(found, Broken):
                assert found.proven is None or found.proven <= tip.sequence, place
        else:
            assert found == tip, place
            assert not isinstance(told, TocsinError), place
        assert isinstance(told, TocsinError) or told == right, place
    assert noticed > 200


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_file_that_was_cut_short(copy: Path, share: float) -> None:
    path = copy / JOURNAL
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share) // PAGE_BYTES * PAGE_BYTES])
    found = proven(path)
    assert isinstance(found, Invalid) and "restore the newest copy" in str(found)
    assert isinstance(folded(copy), Invalid)


def test_the_chain_is_told_up_to_the_page_that_is_gone(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page of events in the middle is zeroes: what comes before is proven, to the event."""
    path = copy / JOURNAL
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("PRAGMA writable_schema = ON")
        leaves = [start for start in range(PAGE_BYTES, len(data), PAGE_BYTES) if data[start] == 0x0D]
    victim = leaves[len(leaves) // 2]
    data[victim : victim + PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(data)
    found = proven(path)
    assert isinstance(found, Broken)
    assert found.proven is not None and 1 < found.proven == found.sequence - 1
    assert main(["journal", "verify", "--data", str(copy)], FixedClock()) == 1
    told = capsys.readouterr().err
    assert f"its chain holds up to event {found.proven}" in told and "restore the newest copy" in told
    assert main(["status", "--data", str(copy)], FixedClock()) == 1
    assert "restore the newest copy" in capsys.readouterr().err


def test_a_database_of_another_program(copy: Path) -> None:
    (copy / JOURNAL).unlink()
    with closing(sqlite3.connect(copy / JOURNAL)) as other:
        other.executescript("CREATE TABLE song (title TEXT); PRAGMA user_version = 1")
    for found in (proven(copy / JOURNAL), folded(copy)):
        assert isinstance(found, Invalid) and "not a tocsin journal" in str(found)


def running(tmp_path: Path) -> Site:
    site = Site(tmp_path / "site", FixedClock())
    for serial in range(20):
        site.report(f"phone {serial}", serial)
    return site


def test_a_log_that_is_damaged_or_gone(tmp_path: Path) -> None:
    """SQLite drops what comes behind a damaged frame: what was acknowledged is missed, not forgotten in silence."""
    site = running(tmp_path)
    log = (tmp_path / "site" / JOURNAL).with_name("journal.sqlite-wal")
    held = log.read_bytes()
    events = site.deployment.journal.read(0)
    chance = random.Random(7)
    set_back = 0
    for attempt in range(40):
        spoilt = Path(shutil.copytree(tmp_path / "site", tmp_path / f"{attempt}"))
        (spoilt / "journal" / "journal.sqlite-shm").unlink()
        changed = bytearray(held)
        changed[chance.randrange(len(held))] ^= 1 << chance.randrange(8)
        (spoilt / "journal" / log.name).write_bytes(changed if attempt else b"")
        found = proven(spoilt / JOURNAL)
        if isinstance(found, TocsinError):
            assert isinstance(found, Invalid) and "Restore the newest copy" in str(found)
            set_back += 1
            (spoilt / "journal" / "journal.sqlite-turn").unlink()
            with closing(sqlite.open(spoilt / JOURNAL, Durability.WAIVED)) as journal:
                tip = verify(journal)
                assert tip.sequence < len(events) and journal.read(0) == events[: tip.sequence]
        else:
            assert found.sequence == len(events)
        shutil.rmtree(spoilt)
    assert set_back > 20
    site.deployment.close()


def test_an_older_copy_under_a_stopped_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told at once; and if it is gone on with, the bucket's head names what the journal must hold: `serve` takes no
    report that would be lost again."""
    site = running(tmp_path)
    site.deployment.close()
    top = tmp_path / "site"
    older = (top / JOURNAL).read_bytes()
    later = Deployment(top, site.clock)
    site.clock.wait(QUARTER_SECONDS)
    later.publisher().publish()
    later.close()
    (top / JOURNAL).write_bytes(older)
    for command in ("serve", "publish", "status", "journal verify"):
        assert main([*command.split(), "--data", str(top)], site.clock) == 1
        assert "ends at event 24, and event 25 was stored in it" in capsys.readouterr().err
    (top / "journal" / "journal.sqlite-turn").unlink()
    for command in ("serve", "publish"):
        assert main([command, "--data", str(top)], site.clock) == 1
        assert "older copy" in capsys.readouterr().err
    assert main(["status", "--data", str(top)], site.clock) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Nothing is published: the bucket's head is version 1, which this journal did not decide" in told
    assert main(["journal", "verify", "--data", str(top)], site.clock) == 0, "an older copy is whole by itself"


def test_an_older_copy_under_a_running_site(tmp_path: Path) -> None:
    """Copied over the file or put in its place: nothing more is taken, and the words say why."""
    site = running(tmp_path)
    path = tmp_path / "site" / JOURNAL
    site.deployment.journal.close()
    site.performer.catch_up()
    older = path.read_bytes()
    site.report("later", 30)
    site.deployment.journal.close()
    path.with_name("new").write_bytes(older)
    path.with_name("new").replace(path)
    with pytest.raises(TocsinError, match="was replaced while it was in use"):
        site.performer.catch_up()
    site.deployment.close()
