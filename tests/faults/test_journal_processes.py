"""The journal under real processes: killed, several at once, without room on the disk, without the right to write."""

import itertools
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.contracts.journal_contract import FOUNDED, NOW, add
from tests.faults.journal_writer import UNAVAILABLE, claim
from tocsin.journal import sqlite
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Durability, Journal
from tocsin.journal.sqlite import SqliteJournal
from tocsin.journal.verify import verify
from tocsin.model.errors import Unavailable

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = 10**9
NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A founded journal."""
    journal = sqlite.create(tmp_path / "journal.sqlite", durability=Durability.WAIVED)
    add(journal, FOUNDED)
    journal.close()
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    opened = sqlite.open(path, Durability.WAIVED)
    yield opened
    opened.close()


def command(place: Path | str, name: str, groups: int, size: int) -> list[str]:
    return [sys.executable, "-m", "tests.faults.journal_writer", str(place), name, str(groups), str(size)]


def start(place: Path | str, name: str, groups: int, size: int) -> subprocess.Popen[str]:
    return subprocess.Popen(command(place, name, groups, size), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def events_of(journal: Journal) -> list[StoredEvent]:
    pages = []
    after = 0
    while page := journal.read(after):
        pages.append(page)
        after = page[-1].sequence
    return list(itertools.chain.from_iterable(pages))


def assert_all_there(journal: Journal, said: Sequence[str]) -> None:
    """What was acknowledged is in the journal, under the number and with the digest that were said."""
    stored = events_of(journal)
    for line in said:
        if not line.startswith(("won", "beat")):
            sequence, digest, own = line.split()
            event = stored[int(sequence) - 1]
            assert event.digest.hex() == digest
            assert event.claims == (claim(own),)


def kill_in_mid_load(path: Path, times: int) -> None:
    said: list[str] = []
    for life in range(times):
        # its lives differ in the size of groups and in how far they come, so the blow falls at different steps
        with start(path, f"life {life}".replace(" ", "-"), ENDLESS, 1 + 7 * (life % 4)) as writer:
            assert writer.stdout is not None
            said += list(itertools.islice(writer.stdout, 40 + 23 * life))
            writer.kill()
            said += [line for line in writer.stdout if line.endswith("\n")]
        journal = sqlite.open(path, Durability.WAIVED)
        assert verify(journal).sequence > len(said) // 2
        assert_all_there(journal, said)
        journal.close()
    assert len(said) >= 40 * times


def test_killed_in_mid_load(path: Path) -> None:
    kill_in_mid_load(path, 5)


@pytest.mark.slow
def test_killed_in_mid_load_twenty_times(path: Path) -> None:
    kill_in_mid_load(path, 20)


def test_a_writer_killed_in_its_turn_holds_up_nobody(path: Path, journal: SqliteJournal) -> None:
    with start(path, "victim", ENDLESS, 64) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.kill()
    before = journal.tip().sequence
    with journal.group(NOW) as group:
        assert group.tip.sequence == before


@pytest.mark.parametrize("writers", [2, 4])
def test_several_writers_on_one_file(path: Path, journal: SqliteJournal, writers: int) -> None:
    """Case 30: the same claim asked for by several processes at once is given once; uniqueness is the journal's."""
    groups, size = 30, 4
    running = [start(path, f"writer-{number}", groups, size) for number in range(writers)]
    said = [writer.communicate()[0].splitlines() for writer in running]
    assert [writer.returncode for writer in running] == [0] * writers
    lines = list(itertools.chain.from_iterable(said))
    assert verify(journal).sequence == 1 + writers * groups * size + groups
    won = Counter(line for line in lines if line.startswith("won"))
    assert won == {f"won {number}": 1 for number in range(groups)}  # each contested claim once, whoever got it
    numbers = [int(line.split()[0]) for line in lines if not line.startswith("won")]
    assert len(set(numbers)) == writers * groups * size
    assert_all_there(journal, lines)


def test_no_room_on_the_disk(path: Path, journal: SqliteJournal) -> None:
    """Files may grow to 1 MB: the writer is told so in the middle of a group, and nothing of that group is there."""
    limit = 1_000_000
    done = subprocess.run(
        command(path, "big", ENDLESS, 64),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == UNAVAILABLE, done.stderr
    assert "Nothing was stored" in done.stderr
    said = done.stdout.splitlines()
    assert_all_there(journal, said)
    assert verify(journal).sequence == 1 + len(said)  # 64 and the contested one, in each group that was acknowledged
    add(journal, *[])
    assert journal.tip().beats == 1  # with room again it goes on


READ_ONLY = """
import os, sys
from pathlib import Path
from tocsin.journal import sqlite
from tocsin.journal.port import Durability
from tocsin.model.errors import Unavailable
if os.geteuid() == 0:
    os.setgid({nobody}); os.setuid({nobody})
try:
    journal = sqlite.open(Path(sys.argv[1]), Durability.WAIVED)
    with journal.group(1_797_150_617):
        pass
except Unavailable as unavailable:
    print(unavailable)
"""


def test_what_may_not_be_written() -> None:
    """A folder that anybody may enter, since pytest's own is closed; a process that is not root, since root may all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        sqlite.create(path, durability=Durability.WAIVED).close()
        for file_mode, folder_mode in ((0o444, 0o555), (0o600, 0o700)):
            path.chmod(file_mode)
            path.parent.chmod(folder_mode)
            trial = [sys.executable, "-c", READ_ONLY.format(nobody=NOBODY), str(path)]
            done = subprocess.run(trial, capture_output=True, text=True)
            assert "this user's" in done.stdout, done.stdout + done.stderr
        path.parent.chmod(0o700)


def syncs(path: Path, groups: int, size: int, trace: Path) -> int:
    """How often a writer of so many groups asks the disk to make something durable."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    tracing = [strace, "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    done = subprocess.run(
        [*tracing, *command(path, f"{groups}x{size}", groups, size)], cwd=ROOT, capture_output=True, text=True
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine lets nobody trace")
    assert done.returncode == 0, done.stderr
    return len(re.findall(r"(?:fsync|fdatasync)\(\d+\)\s+= 0", trace.read_text()))


def test_every_group_syncs_and_needs_hardly_more_than_once(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    groups = 50
    start_and_end = syncs(path, 0, 0, trace)
    assert groups <= syncs(path, groups, 0, trace) - start_and_end <= groups + 5
    assert groups <= syncs(path, groups, 64, trace) - start_and_end <= 2 * groups


def test_a_full_disk_is_no_reason_to_believe_in_a_group(path: Path, journal: SqliteJournal) -> None:
    """The caller overlooks the failure and leaves its block as if all were well: still nothing of it is stored."""
    before = journal.tip()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    content = b"\0" * 100_000
    with pytest.raises(Unavailable), journal.group(NOW) as group:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            for number in range(200):  # more than SQLite keeps in memory, so that it writes before COMMIT
                try:
                    group.append(FOUNDED.__class__(FOUNDED.body, content, (claim(str(number)),)))
                except Unavailable:
                    break
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.tip() == before
    assert verify(journal) == before
