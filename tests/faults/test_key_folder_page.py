"""``docs/operating/key-folder-lost.md``, done word for word: copies are kept, lost, and found again; or never found."""

import shutil
from pathlib import Path

import pytest

from tests.faults.pages import commands, section
from tests.faults.shell import Shell
from tests.sites import FixedClock, Site, cards_of, report
from tocsin.client.trust import parse_trust
from tocsin.model.calls import Verdict
from tocsin.model.times import day_of
from tocsin.publication.release import released
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment, head_verifier

pytestmark = pytest.mark.faults

PAGE = "key-folder-lost.md"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """The deployment was founded an hour ago; copies of its keys are kept as the page says."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    clock = FixedClock(SystemClock().now() - 3600)
    site = Site(tmp_path / "srv" / "tocsin", clock)
    site.report("ada", 0)
    clock.wait(900)
    site.deployment.publisher().publish()
    for place in ("offline", "sealed", "mirror"):
        (tmp_path / place).mkdir(mode=0o700)
    shell = Shell(tmp_path, site)
    recipient, *copies = commands(section(PAGE, "Keep a copy"))
    for line in (recipient.replace("rsa:4096", "rsa:2048"), *copies, copies[-1]):  # the mirror twice: it is repeated
        done = shell.type(line)
        assert done.code == 0, done.err
    return shell


def _secrets(keys: Path) -> dict[str, bytes]:
    return {str(path.relative_to(keys)): path.read_bytes() for path in keys.rglob("*") if path.is_file()}


def test_what_is_copied(shell: Shell) -> None:
    """The mirror follows; what is sealed is no day key, and nothing in plain."""
    keys = shell.site.deployment.folders.keys
    gone = sorted((keys / "days").iterdir())[0]
    gone.unlink()
    shell.type(commands(section(PAGE, "Keep a copy"))[-1])
    mirrored = {path.name for path in (shell.root / "mirror" / "days").iterdir()}
    assert mirrored == {path.name for path in (keys / "days").iterdir()} and gone.name not in mirrored
    sealed = (shell.root / "sealed" / "keys.cms").read_bytes()
    assert (keys / "issuing-1").read_bytes() not in sealed and b"PRIVATE" not in sealed
    opened = shell.type(
        "openssl cms -decrypt -binary -inform DER -in /sealed/keys.cms -inkey /offline/recipient.key | tar -t"
    )
    assert sorted(opened.out.split()) == ["./", "./gaen/", "./gaen/310-v1", "./head", "./issuing-1"]


def test_one_file_is_lost(shell: Shell) -> None:
    keys, today = shell.site.deployment.folders.keys, day_of(shell.site.clock.now())
    before = _secrets(keys)
    (keys / "days" / str(today)).unlink()
    (keys / "issuing-1").unlink()
    *steps, doctor = commands(section(PAGE, "One file is lost"))
    looked = shell.type(doctor)
    assert looked.code == 1 and "day_key_missing" in looked.out and "issuing-1" in looked.out
    for line in steps:
        assert shell.type(line.replace("20500", str(today))).code == 0, line
    assert _secrets(keys) == before and "issuing-1" not in _secrets(shell.root / "offline")
    found = shell.type(doctor).out
    assert "day_key" not in found and "keys_unusable" not in found and "key_file_open" not in found


def test_the_whole_folder_is_lost(shell: Shell) -> None:
    keys = shell.site.deployment.folders.keys
    before = _secrets(keys)
    shell.site.deployment.close()
    shutil.rmtree(keys)
    stop, make, unseal, mirror, modes, doctor, start = commands(section(PAGE, "The whole folder is lost"))
    for line in (stop, make, unseal, mirror, modes):
        assert shell.type(line).code == 0, line
    assert _secrets(keys) == before
    found = shell.type(doctor).out
    assert not any(code in found for code in ("keys_unusable", "key_file_open", "day_key", "trust_", "gaen_key"))
    shell.type(start)
    assert shell.track("ada") is Verdict.TAKEN
    shell.type(stop)


def test_there_is_no_copy(shell: Shell) -> None:
    """A new issuing secret and a new head key: new cards work, old ones do not; new apps follow, old ones do not."""
    site = shell.site
    site.deployment.close()
    (site.deployment.folders.keys / "issuing-1").unlink()
    (site.deployment.folders.keys / "head").unlink()
    old = parse_trust(site.deployment.folders.trust.read_bytes())
    for line in commands(section(PAGE, "There is no copy")):
        done = shell.type(line)
        assert done.code == 0, done.err
    assert shell.type("tocsin codes issue 1 --count 1 && tocsin codes activate 2").code == 0
    again = Deployment(site.top, SystemClock())
    new_card, dead_card = cards_of(again, 2, 1)[0], site.cards[1]
    shell.type("systemctl start tocsin")
    assert shell.server is not None
    now = SystemClock().now()
    assert shell.server.verdict(report("ben", new_card, 1, now).body) is Verdict.TAKEN
    assert shell.server.verdict(report("cem", dead_card, 1, now).body) is Verdict.CODE_UNKNOWN
    again.publisher().publish()
    new = parse_trust(site.deployment.folders.trust.read_bytes())
    out = released(again.bucket, head_verifier(again.settings, again.keys))
    assert out.version > 0 and new.vkeys == (head_verifier(again.settings, again.keys).vkey,) != old.vkeys
    again.close()
    shell.type("systemctl stop tocsin")
