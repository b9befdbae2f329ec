"""A journal that moves to PostgreSQL and back, by `docs/operating/grow-to-postgresql.md`, and a server that runs on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.pages import commands, section
from tests.faults.postgres_server import PostgresServer, postgres_home
from tests.faults.servers import PHONES, Load, Server, until
from tests.sites import FixedClock, Site, report
from tocsin.cli import main
from tocsin.journal.archive import make_archive
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.verify import verify
from tocsin.model.errors import Unavailable
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment
from tocsin.stores.place_folder import FolderPlace

PAGE = "grow-to-postgresql.md"
HOSTS = "db1.example.org,db2.example.org,db3.example.org"
CARDS = 1000


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_home() as home:
        server = PostgresServer.new(home / "alone")
        server.start()
        try:
            yield server
        finally:
            server.kill()


def new_database(postgres: PostgresServer, name: str) -> str:
    """Its address, as the page has it but for the hosts."""
    with postgres.connect() as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'tocsin'").fetchone():
            connection.execute("CREATE ROLE tocsin LOGIN")
        connection.execute(f"CREATE DATABASE {name} OWNER tocsin".encode())
    return f"postgresql://tocsin@127.0.0.1:{postgres.port}/{name}"


def all_events(deployment: Deployment) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    while page := deployment.journal.read(len(events)):
        events += page
    return events


def test_the_page(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There and back: nothing changes but the place, and the page says what is to be typed."""
    clock = FixedClock()
    top = tmp_path / "tocsin"
    site = Site(top, clock)
    site.report("ada", 0)
    before = all_events(site.deployment)
    site.deployment.close()
    url = new_database(postgres, "tocsin")
    monkeypatch.setenv("TOCSIN_DATA", str(top))

    def type_in(line: str) -> str:
        line = line.replace("/srv/tocsin", str(top)).replace(HOSTS, f"127.0.0.1:{postgres.port}")
        program, *words = line.split()
        if program == "tocsin":
            assert main(words, clock) == 0, (line, capsys.readouterr().err)
        elif program == "mv":
            Path(words[0]).rename(words[1])
        else:
            assert program == "systemctl"
        return " ".join(capsys.readouterr().out.split())

    typed = commands(section(PAGE, "The move"))
    settings = [line for line in typed if line.startswith(("[", "engine", "url"))]
    text = (top / "tocsin.toml").read_text()
    said = ""
    for line in typed:
        if line == settings[0]:
            said = said.replace(f"127.0.0.1:{postgres.port}", HOSTS)
            assert " ".join(settings) in said and "copied and proven. The journal goes on there" in said
            mine = "\n".join(settings).replace(HOSTS, f"127.0.0.1:{postgres.port}")
            (top / "tocsin.toml").write_text(f"{text}\n{mine}\n")
        if line not in settings:
            said = type_in(line)

    moved = Deployment(top, clock)
    assert moved.settings.journal.url == url and all_events(moved) == before
    site.performer = moved.performer()
    site.report("ben", 1)
    grown = all_events(moved)
    assert grown[: len(before)] == before and len(grown) == len(before) + 1
    moved.close()

    for line in commands(section(PAGE, "Afterwards")):
        type_in(line)
    (top / "tocsin.toml").write_text(text)
    back = Deployment(top, clock)
    assert all_events(back) == grown and verify(back.journal).term == 1
    back.close()


def test_a_server_that_nobody_stopped(
    tmp_path: Path, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Phones report all the time: every report is in the new journal, once, whenever and however it was answered."""
    top = tmp_path / "tocsin"
    clock = FixedClock(SystemClock().now())
    site = Site(top, clock, cards=CARDS)
    site.deployment.close()
    load = Load([report(f"phone {serial}", card, 2, clock.now()).body for serial, card in enumerate(site.cards)])
    url = new_database(postgres, "busy")

    old = Server.real(top, tmp_path / "old")
    phones = load.run(old.port, 60)
    assert main(["journal", "copy", "--to", url, "--data", str(top)]) == 0, capsys.readouterr().err
    told_yes = len(load.taken)
    until("a report that the old server keeps for later", lambda: load.kept)
    moved = tmp_path / "old.toml"
    shutil.copy(top / "tocsin.toml", moved)
    with (top / "tocsin.toml").open("a") as settings:
        settings.write(f'\n[journal]\nengine = "postgresql"\nurl = "{url}"\n')
    old.kill()
    for phone in phones:
        phone.join()
    assert 60 <= len(load.taken) <= told_yes + PHONES < CARDS, "more than the answers that were on their way"

    new = Server.real(top, tmp_path / "new")
    for phone in load.run(new.port, CARDS):
        phone.join()
    assert load.kept and not load.other
    assert load.kept <= {body for body, _ in load.taken}
    deployment = Deployment(top, SystemClock())
    performer = deployment.performer()

    def is_delivered() -> bool:
        performer.catch_up()
        return performer.ledger.reports.count == CARDS

    until("all that was kept is delivered", is_delivered)
    new.kill()
    verify(deployment.journal)
    assert sorted(performer.ledger.reports["serial"].tolist()) == list(range(CARDS))
    deployment.close()
    shutil.copy(moved, top / "tocsin.toml")
    with pytest.raises(Unavailable, match="goes on there"):
        Deployment(top, SystemClock())


def test_a_deployment_is_rebuilt_into_an_empty_database(
    tmp_path: Path, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the journal goes is what the settings say: here it was SQLite, and is PostgreSQL from now on."""
    clock = FixedClock()
    site = Site(tmp_path / "old", clock)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    make_archive(FolderPlace(tmp_path / "archive")).append(site.deployment.journal.read(0), 1)
    before = all_events(site.deployment)
    settings = tmp_path / "tocsin.toml"
    url = new_database(postgres, "rebuilt")
    text = (site.top / "tocsin.toml").read_text()
    settings.write_text(f'{text}\n[journal]\nengine = "postgresql"\nurl = "{url}"\n')
    words = ["rebuild", "--archive", str(tmp_path / "archive"), "--keys", str(site.top / "keys")]
    assert main([*words, "--settings", str(settings), "--data", str(tmp_path / "new")], clock) == 0
    new = Deployment(tmp_path / "new", clock)
    claims = [claim for event in before for claim in event.claims]
    assert all_events(new) == before and verify(new.journal).term == 2
    assert new.journal.holders(claims) == site.deployment.journal.holders(claims)
    assert new.bucket.read("v1/head") == site.deployment.bucket.read("v1/head")
    new.close()
    capsys.readouterr()
    assert main([*words, "--settings", str(settings), "--data", str(tmp_path / "again")], clock) == 1
    assert "never overwritten" in capsys.readouterr().err and not (tmp_path / "again").exists()
    site.deployment.close()
