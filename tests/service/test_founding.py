"""Founding: all of it or none, in a folder of its own."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.sites import MORNING, FixedClock
from tocsin.client.trust import parse_trust
from tocsin.journal.encoding import decode_body
from tocsin.journal.verify import verify
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import Founded
from tocsin.model.policy import Policy, SignatureInfo
from tocsin.model.times import Instant, day_of
from tocsin.service import founding
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.service.founding import found
from tocsin.service.key_folder import DAYS_AHEAD, public_pem
from tocsin.service.settings import Folders, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534
INFOS = (SignatureInfo("310", "v2"), SignatureInfo("310", "v1"))
SETTINGS = Settings(
    region="utopia",
    origin="tocsin.example/utopia",
    base_url="https://tocsin.example/app/",
    single_machine=True,
    policy=Policy(freshness_seconds=7200, gaen_signature_infos=INFOS),
)


def test_what_is_there_afterwards(tmp_path: Path) -> None:
    folders = found(tmp_path / "new" / "deployment", SETTINGS, FixedClock())
    names = {path.name for path in folders.top.iterdir()}
    assert names == {"keys", "journal", "bucket", "trust.json", "tocsin.toml"}
    assert load_settings(folders) == SETTINGS
    assert folders.journal.parent.stat().st_mode & 0o777 == 0o700
    assert list(folders.bucket.iterdir()) == [], "no head before the first version"
    deployment = Deployment(folders.top, FixedClock())
    [event] = deployment.journal.read(0)
    body = decode_body(event.kind, event.body)
    assert isinstance(body, Founded) and (body.region, event.recorded_at) == ("utopia", MORNING)
    assert verify(deployment.journal).sequence == 1
    assert deployment.keys.has_day_key(day_of(MORNING + DAYS_AHEAD * 86_400))
    assert not deployment.keys.has_day_key(day_of(MORNING + (DAYS_AHEAD + 1) * 86_400))
    deployment.close()


def test_what_apps_must_trust(tmp_path: Path) -> None:
    """Field by field, the keys in it being the public halves of those in the folder."""
    folders = found(tmp_path / "deployment", SETTINGS, FixedClock())
    deployment = Deployment(folders.top, FixedClock())
    told = json.loads(folders.trust.read_bytes())
    assert told == {
        "origin": "tocsin.example/utopia",
        "vkeys": [head_verifier(SETTINGS, deployment.keys).vkey],
        "region": "utopia",
        "freshness_seconds": 7200,
        "reports_url": "https://tocsin.example/app/v1/reports",
        "bucket_url": "https://tocsin.example/app",
        "gaen_keys": [["310", info.verification_key_version, public_pem(key)] for info, key in gaen(deployment)],
    }
    assert parse_trust(folders.trust.read_bytes()).verifiers
    for _, _, pem in told["gaen_keys"]:
        key = load_pem_public_key(pem.encode())
        assert isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    assert "PRIVATE" not in folders.trust.read_text()
    deployment.close()


def gaen(deployment: Deployment) -> list[tuple[SignatureInfo, EllipticCurvePrivateKey]]:
    keys = deployment.keys.gaen_keys()
    return [(info, keys[info]) for info in INFOS]


def test_no_two_deployments_are_alike(tmp_path: Path) -> None:
    """The demo's and the drill's keys can never meet production's."""
    one, other = (found(tmp_path / name, SETTINGS, FixedClock()) for name in ("one", "other"))
    for name in ("keys/issuing-1", "keys/head", "keys/gaen/310-v1", "keys/days/20500", "trust.json"):
        assert (one.top / name).read_bytes() != (other.top / name).read_bytes()
    bodies = {Deployment(folders.top, FixedClock()).journal.read(0)[0].body for folders in (one, other)}
    assert len(bodies) == 2


@pytest.mark.parametrize("held", ["a file", "a folder", "a hidden file", "a deployment"])
def test_a_folder_that_holds_anything_is_left_as_it_is(tmp_path: Path, held: str) -> None:
    match held:
        case "a file":
            (tmp_path / "notes.txt").write_text("mine")
        case "a folder":
            (tmp_path / "lost+found").mkdir()
        case "a hidden file":
            (tmp_path / ".keep").write_text("")
        case "a deployment":
            found(tmp_path, SETTINGS, FixedClock())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(Refused, match="not empty") as refusal:
        found(tmp_path, SETTINGS, FixedClock())
    assert refusal.value.code == "not_empty"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "deployment"):
        with pytest.raises(Unavailable, match="can't be written"):
            found(place, SETTINGS, FixedClock())
    assert (tmp_path / "file").read_text() == "mine"


MAY_NOT = """
import os, sys
from pathlib import Path
from tests.service.test_founding import SETTINGS
from tests.sites import FixedClock
from tocsin.model.errors import Unavailable
from tocsin.service.founding import found
if os.geteuid() == 0:
    os.setgid({nobody}); os.setuid({nobody})
for place in ("", "new"):
    try:
        found(Path(sys.argv[1]) / place, SETTINGS, FixedClock())
    except Unavailable as error:
        print(error)
"""


@pytest.mark.faults
def test_a_folder_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o555)
        trial = [sys.executable, "-c", MAY_NOT.format(nobody=NOBODY), place]
        ran = subprocess.run(trial, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.stdout.count("Permission denied") == 2, ran.stdout + ran.stderr
        assert os.listdir(place) == []


def test_of_two_that_found_in_one_place_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both found the folder empty; who comes second is refused and takes nothing away."""
    refuse_held = founding._refuse_held

    def overtaken(folders: Folders) -> None:
        refuse_held(folders)
        monkeypatch.setattr(founding, "_refuse_held", refuse_held)
        found(folders.top, SETTINGS, FixedClock())

    monkeypatch.setattr(founding, "_refuse_held", overtaken)
    with pytest.raises(Refused, match="another `tocsin init`"):
        found(tmp_path / "deployment", SETTINGS, FixedClock())
    deployment = Deployment(tmp_path / "deployment", FixedClock())
    assert verify(deployment.journal).sequence == 1
    deployment.close()


@pytest.mark.parametrize("fails", ["KeyFolder.create", "create_journal", "write_trust", "settings_text"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_founding_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, is_there: bool
) -> None:
    """Whatever it broke off at: the folder is as it was, and the same command works once the disk has room."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    top = tmp_path / "deployment"
    if is_there:
        top.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(f"{founding.__name__}.{fails}", fail)
        with pytest.raises(Unavailable, match="No space left on device; free some"):
            found(top, SETTINGS, FixedClock())
    assert list(tmp_path.rglob("*")) == ([top] if is_there else [])
    found(top, SETTINGS, FixedClock())


KILLED = """
import itertools, os, signal, sys
from pathlib import Path
from tests.service.test_founding import SETTINGS
from tests.sites import FixedClock
from tocsin.service.founding import found
fsync, left = os.fsync, 0
def counted(descriptor):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    fsync(descriptor)
os.fsync = counted
for syncs in itertools.count():
    child = os.fork()
    if child == 0:
        left = syncs
        found(Path(sys.argv[1]) / str(syncs), SETTINGS, FixedClock())
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(syncs)
"""


@pytest.mark.faults
def test_a_founding_that_is_killed_is_named_at_the_next_try(tmp_path: Path) -> None:
    """At any sync: no command takes what is there for a deployment, and the next `init` says what to remove."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    kills = int(ran.stdout)
    assert kills > 20
    for syncs in range(kills):
        top = tmp_path / str(syncs)
        if (top / "tocsin.toml").exists():  # killed when all was there, and only names were not synced yet
            Deployment(top, FixedClock()).close()
            continue
        with pytest.raises(Refused) as refusal:
            Deployment(top, FixedClock())
        assert refusal.value.code == "no_deployment"
        with pytest.raises(Refused, match="a founding that broke off; remove it"):
            found(top, SETTINGS, FixedClock())
    Deployment(tmp_path / str(kills), FixedClock()).close()


def test_a_clock_that_cannot_be_trusted_founds_nothing(tmp_path: Path) -> None:
    class Lost(FixedClock):
        def now(self) -> Instant:
            raise Unavailable("the clock was set")

    with pytest.raises(Unavailable):
        found(tmp_path / "deployment", SETTINGS, Lost())
    assert not (tmp_path / "deployment").exists()
