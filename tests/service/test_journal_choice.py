"""A deployment whose journal is in PostgreSQL: founded, opened, looked at by commands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tocsin.cli
from tests.contracts.postgres_engine import PostgresEngine
from tests.sites import FixedClock, Site
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, Unavailable
from tocsin.service.deployment import Deployment, journal_to_read
from tocsin.service.founding import found
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.settings import Settings


def settings(choice: JournalChoice, region: str = "utopia", single_machine: bool = True) -> Settings:
    return Settings(
        region=region,
        origin="tocsin.example/utopia",
        base_url="https://tocsin.example",
        single_machine=single_machine,
        journal=choice,
    )


def test_a_deployment_is_founded_in_an_empty_postgresql(tmp_path: Path, postgres_engine: PostgresEngine) -> None:
    postgres_engine.empty()
    folders = found(tmp_path / "site", settings(postgres_engine.choice()), FixedClock())
    assert not folders.journal.exists()
    deployment = Deployment(folders.top, FixedClock())
    assert verify(deployment.journal).sequence == 1 and deployment.settings.journal == postgres_engine.choice()
    deployment.close()
    journal = journal_to_read(folders)
    assert verify(journal).sequence == 1
    journal.close()


def test_a_database_that_holds_a_journal_is_left_alone(tmp_path: Path, postgres_engine: PostgresEngine) -> None:
    """And the folder is as it was: it may be founded elsewhere."""
    postgres_engine.empty()
    found(tmp_path / "one", settings(postgres_engine.choice()), FixedClock())
    with pytest.raises(Invalid, match="never overwritten"):
        found(tmp_path / "two", settings(postgres_engine.choice()), FixedClock())
    assert not (tmp_path / "two").exists()
    assert postgres_engine.open().tip().sequence == 1


def test_a_server_without_a_standby_is_taken_by_whoever_says_so(
    tmp_path: Path, postgres_engine: PostgresEngine
) -> None:
    postgres_engine.empty()
    with pytest.raises(Unavailable, match="no synchronous standby"):
        found(tmp_path / "site", settings(postgres_engine.choice(), single_machine=False), FixedClock())
    assert not (tmp_path / "site").exists()
    found(tmp_path / "site", settings(postgres_engine.choice()), FixedClock())


def test_another_region_s_journal_is_refused(tmp_path: Path, postgres_engine: PostgresEngine) -> None:
    postgres_engine.empty()
    folders = found(tmp_path / "site", settings(postgres_engine.choice()), FixedClock())
    folders.settings.write_text(folders.settings.read_text().replace('region = "utopia"', 'region = "erewhon"'))
    with pytest.raises(Invalid, match="founded for region utopia"):
        Deployment(folders.top, FixedClock())


def test_commands_work_on_it(
    tmp_path: Path, postgres_engine: PostgresEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    top, clock = str(tmp_path / "site"), FixedClock()

    def run(*words: str) -> str:
        assert tocsin.cli.main((*words, "--data", top), clock) == 0
        return capsys.readouterr().out

    names = ("--region", "utopia", "--origin", "tocsin.example/utopia", "--base-url", "https://tocsin.example")
    url = postgres_engine.empty()
    assert tocsin.cli.main(("init", top, *names, "--journal-url", url, "--single-machine"), clock) == 0
    capsys.readouterr()
    run("provider", "add", "General Hospital")
    run("codes", "issue", "1", "--count", "20")
    run("codes", "activate", "1")
    assert "are what this version of tocsin needs" in run("journal", "migrate")
    assert json.loads(run("journal", "verify", "--json"))["sequence"] == 4
    run("status")


def test_a_file_needs_no_migration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path / "site", FixedClock())
    site.deployment.close()
    assert tocsin.cli.main(("journal", "migrate", "--data", str(site.top)), site.clock) == 1
    assert "needs no migration" in capsys.readouterr().err


def test_what_is_not_chosen_is_not_loaded(tmp_path: Path) -> None:
    """A deployment in a file loads no library of a server; one in a server loads none that makes its tables."""
    Site(tmp_path / "site", FixedClock()).deployment.close()
    script = (
        "import sys; from pathlib import Path; from tocsin.service.deployment import Deployment;"
        "from tests.sites import FixedClock; Deployment(Path(sys.argv[1]), FixedClock());"
        "print({'psycopg', 'sqlalchemy', 'alembic'} & set(sys.modules));"
        "import tocsin.journal.postgres; print({'sqlalchemy', 'alembic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "site")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["set()", "set()"]
