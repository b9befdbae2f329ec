"""`docs/operating/rebuild.md`, word for word, while the old primary still runs; and a rebuild that is killed."""

import re
import shutil
from pathlib import Path

import pytest

from tests.faults.pages import commands, section
from tests.faults.servers import Server, until
from tests.sites import FixedClock, Site, report
from tocsin.cli import main
from tocsin.journal.archive import open_archive
from tocsin.model.calls import Verdict
from tocsin.publication.release import Released, released
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.stores.place_folder import FolderPlace

PAGE = "rebuild.md"


def new_site(top: Path, archive: Path, clock: FixedClock) -> Site:
    """A deployment with three reports, whose archive is to lie in `archive`."""
    site = Site(top, clock)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    site.deployment.close()
    with (top / "tocsin.toml").open("a") as settings:
        settings.write(f'\n[archive]\nurl = "{archive}"\nevery_seconds = 1\n')
    return site


def head(top: Path) -> Released:
    deployment = Deployment(top, SystemClock())
    found = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys))
    deployment.close()
    return found


@pytest.mark.faults
def test_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The old primary is a server that nobody stopped: it archives and publishes nothing more, and takes no call."""
    clock = FixedClock(SystemClock().now() - 1800)
    old, archive, new = tmp_path / "old", tmp_path / "archive", tmp_path / "tocsin"
    site = new_site(old, archive, clock)
    primary = Server.real(old, tmp_path / "primary")
    assert primary.verdict(report("ida", site.cards[10], 2, SystemClock().now()).body) is Verdict.TAKEN
    until("a version that is out", lambda: primary.versions)
    sequence = Deployment(old, SystemClock()).journal.tip().sequence
    until("an archive that has all of it", lambda: open_archive(FolderPlace(archive)).tip().sequence >= sequence)
    media = tmp_path / "media"
    media.mkdir()
    shutil.copytree(old / "keys", media / "keys")
    shutil.copy(old / "tocsin.toml", media)
    here = {"s3://my-archive/utopia": str(archive), "/media": str(media), "/srv/tocsin": str(new)}

    def type_in(line: str) -> str:
        for there, place in here.items():
            line = line.replace(there, place)
        program, *words = line.split()
        if program == "tocsin":
            code = main(words)
            said = capsys.readouterr()
            assert code == 0 or words[0] == "doctor", (line, said.out, said.err)
            return re.sub(r"\s+", " ", said.out).replace(str(new), "/srv/tocsin")
        assert program == "systemctl"
        return ""

    for heading in ("Do it", "Practise it"):
        text = section(PAGE, heading)
        said = " ".join(type_in(line) for line in commands(text))
        for promise in re.findall(r"^> (.*)$", text, re.MULTILINE):
            assert promise in said
    fenced = open_archive(FolderPlace(archive)).tip()
    assert fenced.term == 2 and fenced.sequence >= sequence

    until("the old primary is told", lambda: "written by a journal of term 2" in primary.err)
    assert primary.verdict(report("eve", site.cards[11], 2, SystemClock().now()).body) is None
    until("and says it", lambda: "answered 503" in primary.err)
    assert open_archive(FolderPlace(archive)).tip() == fenced

    rebuilt = Server.real(new, tmp_path / "rebuilt")
    now = SystemClock().now()
    assert rebuilt.verdict(report("ben", site.cards[10], 2, now).body) is Verdict.CODE_SPENT
    assert rebuilt.verdict(report("bea", site.cards[12], 2, now).body) is Verdict.TAKEN
    until("what the new one takes is archived", lambda: open_archive(FolderPlace(archive)).tip() != fenced)
    was, now_is = head(old), head(new)  # the same version, the same bytes; a next one is the new primary's alone
    assert was.head == now_is.head or was.version < now_is.version
    primary.kill()
    rebuilt.stop()
