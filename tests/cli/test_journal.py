"""`tocsin journal verify`."""

import shutil
import sqlite3
from contextlib import closing

from tests.cli.conftest import Run
from tests.sites import Site


def test_a_whole_journal_is_proven_without_keys(run: Run, site: Site) -> None:
    site.report("one", 0)
    tip = site.deployment.journal.tip()
    shutil.rmtree(site.deployment.folders.keys)
    done = run("journal", "verify", "--json")
    assert done.code == 0
    assert (done.json["whole"], done.json["sequence"], done.json["digest"]) == (True, tip.sequence, tip.digest.hex())
    assert "whole: 5 events" in run("journal", "verify").words


def test_the_first_broken_event_is_named(run: Run, site: Site) -> None:
    site.report("one", 0)
    site.deployment.close()
    with closing(sqlite3.connect(site.deployment.folders.journal)) as connection, connection:
        changed = "CAST(replace(CAST(body AS TEXT), 'St.', 'St!') AS BLOB)"
        connection.execute(f"UPDATE event SET body = {changed} WHERE sequence = 2")
    done = run("journal", "verify")
    assert done.code == 1 and "event 2" in done.err
    told = run("journal", "verify", "--json")
    assert (told.code, told.json["whole"], told.json["first_broken"]) == (1, False, 2)
