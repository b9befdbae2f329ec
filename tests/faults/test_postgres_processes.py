"""A journal in PostgreSQL under real processes: several that append, one killed, two servers of one site."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from tests.contracts.journal_contract import FOUNDED, NOW, add
from tests.contracts.postgres_engine import PostgresEngine
from tests.faults.servers import Server
from tests.faults.test_journal_processes import ENDLESS, assert_all_there, start
from tests.faults.test_processes_beside_each_other import second_machine
from tests.sites import FixedClock, Site, report
from tocsin.journal.postgres import PostgresJournal
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.service.clock import SystemClock

pytestmark = pytest.mark.faults
WRITERS = 4


@pytest.fixture
def journal(postgres_engine: PostgresEngine) -> PostgresJournal:
    made = postgres_engine.create()
    add(made, FOUNDED)
    return made


def test_several_processes_append_to_one_journal(postgres_engine: PostgresEngine, journal: PostgresJournal) -> None:
    """Case 30: the same claim asked for by several processes at once is given once; uniqueness is the journal's."""
    groups, size = 30, 4
    running = [start(postgres_engine.url, f"writer-{number}", groups, size) for number in range(WRITERS)]
    said = [writer.communicate()[0].splitlines() for writer in running]
    assert [writer.returncode for writer in running] == [0] * WRITERS
    lines = list(itertools.chain.from_iterable(said))
    assert verify(journal).sequence == 1 + WRITERS * groups * size + groups
    won = Counter(line for line in lines if line.startswith("won"))
    assert won == {f"won {number}": 1 for number in range(groups)}  # each contested claim once, whoever got it
    assert_all_there(journal, lines)


def test_a_process_killed_in_its_group_holds_up_nobody(
    postgres_engine: PostgresEngine, journal: PostgresJournal
) -> None:
    said: list[str] = []
    for life in range(3):
        with start(postgres_engine.url, f"life-{life}", ENDLESS, 1 + 20 * life) as writer:
            assert writer.stdout is not None
            said += list(itertools.islice(writer.stdout, 40 + 23 * life))
            writer.kill()
            said += [line for line in writer.stdout if line.endswith("\n")]
        with journal.group(NOW, 30) as group:
            assert group.tip.sequence >= len(said) // 2
        assert_all_there(journal, said)
    verify(journal)


def test_two_servers_of_one_site(tmp_path: Path, postgres_engine: PostgresEngine) -> None:
    """`tocsin serve` on two machines: a card is good at either and once, and each tells what the other has taken."""
    left, right = tmp_path / "left", tmp_path / "right"
    now = SystemClock().now()
    postgres_engine.empty()
    site = Site(left, FixedClock(now), journal=postgres_engine.choice())
    site.deployment.close()
    second_machine(left, right)
    servers = [Server.real(top, tmp_path / f"said {top.name}") for top in (left, right)]
    pending = [report(f"phone {number}", site.cards[number // 2], 1, now) for number in range(20)]
    answers = [servers[number % 2].verdict(each.body) for number, each in enumerate(pending)]
    assert answers == [Verdict.TAKEN, Verdict.CODE_SPENT] * 10
    again = [servers[1 - number % 2].verdict(each.body) for number, each in enumerate(pending)]
    assert again == answers
    for server in servers:
        server.stop()
    journal = postgres_engine.open()
    assert Counter(event.kind for event in journal.read(0))["reported"] == 10
    verify(journal)
