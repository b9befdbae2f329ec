"""The key folder: closed to others, made ahead, never made twice; what is gone is seen at once."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.policy import SignatureInfo
from tocsin.model.times import Day
from tocsin.service.key_folder import (
    DAYS_AHEAD,
    PURPOSES,
    GaenSigner,
    KeyFolder,
    public_pem,
    refuse_loose_modes,
)

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534
TODAY = Day(20_500)
INFOS = (SignatureInfo("310", "v1"), SignatureInfo("310", "v2"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A key folder, made."""
    KeyFolder.create(tmp_path / "keys", TODAY, INFOS)
    return tmp_path / "keys"


def days(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (folder / "days").iterdir())


# --- closed to others -------------------------------------------------------------------------------------------------


def test_a_new_folder_is_for_its_owner_alone(folder: Path) -> None:
    paths = [folder, *folder.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
    assert {path.name for path in folder.iterdir()} == {name.rstrip("/") for name in PURPOSES}
    assert list(folder.rglob(".*")) == [], "no draft is left"


@pytest.mark.parametrize("name", ["", "days", "gaen", "days/20500", "issuing-1", "head", "gaen/310-v1"])
@pytest.mark.parametrize("mode", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_loose_modes_are_refused(folder: Path, name: str, mode: int) -> None:
    """For the folder and everything in it, whatever others could do with it."""
    path = folder / name
    path.chmod(path.stat().st_mode | mode)
    with pytest.raises(Refused, match="chmod") as refusal:
        KeyFolder(folder)
    assert refusal.value.code == "loose_modes"


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    """The file behind a link is judged by nobody; a folder behind a link may lie with the journal's copies."""
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(Refused):
        KeyFolder(tmp_path / "linked")
    (folder / "head").rename(tmp_path / "head")
    (folder / "head").symlink_to(tmp_path / "head")
    with pytest.raises(Refused):
        KeyFolder(folder)


def test_a_draft_that_goes_while_modes_are_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is making a day key: its draft is listed, and has got its name before it is looked at."""
    rglob = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda path, pattern: [*rglob(path, pattern), path / "days" / ".20508.00ff"])
    refuse_loose_modes(folder)


def test_no_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("absent", "file"):
        with pytest.raises(Refused, match="tocsin init") as refusal:
            KeyFolder(tmp_path / name)
        assert refusal.value.code == "no_keys"


MAY_NOT = """
import os, sys
from pathlib import Path
from tocsin.model.errors import TocsinError
from tocsin.model.times import Day
from tocsin.service.key_folder import KeyFolder
if os.geteuid() == 0:
    os.setgid({nobody}); os.setuid({nobody})
for use in (
    lambda keys: keys.day_key(Day(20500)),
    lambda keys: keys.has_day_key(Day(20500)),
    lambda keys: keys.issuing_secret(1),
    lambda keys: keys.head_key(),
    lambda keys: keys.gaen_keys(),
    lambda keys: keys.make_days_ahead(Day(20600)),
):
    try:
        print("came by", use(KeyFolder(Path(sys.argv[1]))))
    except TocsinError as error:
        print(type(error).__name__)
"""


@pytest.mark.faults
def test_another_user_is_told_that_it_can_not_be_read() -> None:
    """A secret that can't be read is not a secret that is destroyed: a code would be told to have expired."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        KeyFolder.create(Path(place) / "keys", TODAY, INFOS)
        if os.geteuid() != 0:
            (Path(place) / "keys").chmod(0o000)
        try:
            trial = [sys.executable, "-c", MAY_NOT.format(nobody=NOBODY), f"{place}/keys"]
            ran = subprocess.run(trial, cwd=ROOT, capture_output=True, text=True, check=False)
        finally:
            (Path(place) / "keys").chmod(0o700)
    assert ran.stdout.split() == ["Unavailable"] * 6, ran.stdout + ran.stderr


# --- day keys ---------------------------------------------------------------------------------------------------------


def test_keys_are_made_ahead(folder: Path) -> None:
    keys = KeyFolder(folder)
    assert days(folder) == list(range(TODAY, TODAY + DAYS_AHEAD + 1))
    made = {day: keys.day_key(Day(day)) for day in days(folder)}
    assert len(set(made.values())) == DAYS_AHEAD + 1
    assert {len(key or b"") for key in made.values()} == {32}
    keys.make_days_ahead(Day(TODAY + 2))
    assert days(folder) == list(range(TODAY, TODAY + DAYS_AHEAD + 3))
    assert {day: keys.day_key(Day(day)) for day in made} == made, "none is made anew"


def test_after_a_long_silence_only_what_is_needed_is_made(folder: Path) -> None:
    KeyFolder(folder).make_days_ahead(Day(TODAY + 30))
    assert days(folder)[-DAYS_AHEAD - 1 :] == list(range(TODAY + 30, TODAY + 30 + DAYS_AHEAD + 1))
    assert len(days(folder)) == 2 * (DAYS_AHEAD + 1)


def test_a_lost_key_is_not_made_anew(folder: Path) -> None:
    """What was sealed by it would otherwise be locked away for good when it is found again."""
    (folder / "days" / str(TODAY)).unlink()
    keys = KeyFolder(folder)
    keys.make_days_ahead(TODAY)
    assert not keys.has_day_key(TODAY) and keys.day_key(TODAY) is None
    assert keys.has_day_key(Day(TODAY + 1))


def test_a_destroyed_key_is_seen_at_once(folder: Path) -> None:
    keys = KeyFolder(folder)
    assert keys.has_day_key(TODAY) and keys.day_key(TODAY) is not None
    assert keys.issuing_secret(1) is not None
    (folder / "days" / str(TODAY)).unlink()
    (folder / "issuing-1").unlink()
    assert not keys.has_day_key(TODAY)
    assert keys.issuing_secret(1) is None
    keys.make_days_ahead(TODAY)
    assert keys.day_key(TODAY) is None, "and is forgotten"


def test_a_clock_that_was_ahead_once_stops_nothing(folder: Path) -> None:
    """Keys of a later time are left, and those of now are made all the same."""
    keys = KeyFolder(folder)
    keys.make_days_ahead(Day(TODAY + 400))
    early = keys.day_key(Day(TODAY + 400))
    for day in range(TODAY, TODAY + 20):
        keys.make_days_ahead(Day(day))
        assert keys.has_day_key(Day(day + DAYS_AHEAD))
    assert keys.day_key(Day(TODAY + 400)) == early


@pytest.mark.parametrize("name", ["²", "٢", ".².0000"])
def test_what_lies_among_the_day_keys_and_is_none(folder: Path, name: str) -> None:
    (folder / "days" / name).touch(0o600)
    KeyFolder(folder).make_days_ahead(Day(TODAY + 1))
    assert KeyFolder(folder).day_key(Day(TODAY + 8)) is not None


def test_days_that_are_not_there_have_no_key(folder: Path) -> None:
    keys = KeyFolder(folder)
    assert keys.day_key(Day(TODAY - 1)) is None and not keys.has_day_key(Day(TODAY - 1))
    assert keys.issuing_secret(2) is None


def test_a_key_that_is_forgotten_while_it_is_asked_for(folder: Path) -> None:
    """The collector asks for the key of today, while the publisher makes those of the days ahead."""

    class Forgetful(dict[Day, bytes]):
        def __setitem__(self, day: Day, key: bytes) -> None:
            """As if another thread cleared the table right after."""

    keys = KeyFolder(folder)
    wanted = keys.day_key(TODAY)
    keys._day_keys = Forgetful()
    assert keys.day_key(TODAY) == wanted is not None
    assert keys.has_day_key(TODAY)


MAKER = """
import sys
from pathlib import Path
from tocsin.model.times import Day
from tocsin.service.key_folder import KeyFolder
keys = KeyFolder(Path(sys.argv[1]))
sys.stdin.readline()
for day in range(20600, 21000, 8):
    keys.make_days_ahead(Day(day))
    print(*[keys.day_key(Day(day + ahead)).hex() for ahead in range(8)])
"""


@pytest.mark.faults
def test_processes_that_make_the_same_keys_agree(folder: Path) -> None:
    """Case 53: two servers start at the same second."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.communicate()[0].split() for racer in racers]
    assert said[0] == said[1] == said[2]
    assert len(set(said[0])) == len(said[0]) == 400
    assert list(folder.rglob(".*")) == [], "no draft, which would be a copy of a key, is left"


def test_what_a_killed_process_left_is_removed(folder: Path) -> None:
    """A second name of a key: the key would live on under it when its day is erased."""
    for name in (".20500.00ff", ".20507.00ff"):
        os.link(folder / "days" / name.split(".")[1], folder / "days" / name)
    os.link(folder / "gaen" / "310-v1", folder / "gaen" / ".310-v1.00ff")
    for name in (".20400.00ff", ".20509.00ff"):  # of a day that is over; of a key that another process is making
        (folder / "days" / name).touch(mode=0o600)
    KeyFolder(folder).make_days_ahead(TODAY)
    assert [path.name for path in folder.rglob(".*")] == [".20509.00ff"]
    assert (folder / "days" / "20500").stat().st_nlink == 1


def test_a_draft_that_another_process_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both make a key; the other one was faster, and tidied up."""
    link = os.link

    def faster(draft: Path, path: Path) -> None:
        link(draft, path)
        draft.unlink()
        link(draft, path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", faster)
        KeyFolder(folder).make_days_ahead(Day(TODAY + 1))
    assert days(folder)[-1] == TODAY + 1 + DAYS_AHEAD


# --- what is wrong with a file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [b"", b"short", bytes(31), bytes(33)])
def test_secrets_have_a_length(folder: Path, held: bytes) -> None:
    for name in ("days/20500", "issuing-1"):
        (folder / name).write_bytes(held)
    keys = KeyFolder(folder)
    for use, name in (
        (lambda: keys.day_key(TODAY), "20500"),
        (lambda: keys.has_day_key(TODAY), "20500"),
        (lambda: keys.issuing_secret(1), "issuing-1"),
    ):
        with pytest.raises(Invalid, match=f"{name}.*32 bytes"):
            use()


def pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


ED25519 = ed25519.Ed25519PrivateKey.generate()
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize(
    "held",
    [b"", b"not PEM", b"\xff\xfe", pem(P256), pem(ED25519, b"password"), public_pem(P256).encode()],
    ids=["empty", "text", "bytes", "P-256", "with a password", "public"],
)
def test_head_keys_that_are_none(folder: Path, held: bytes) -> None:
    (folder / "head").write_bytes(held)
    with pytest.raises(Invalid, match="head") as error:
        KeyFolder(folder).head_key()
    assert "BEGIN" not in str(error.value)


@pytest.mark.parametrize(
    "held",
    [b"", b"not PEM", pem(ED25519), pem(P384), pem(P256, b"password")],
    ids=["empty", "text", "Ed25519", "P-384", "with a password"],
)
def test_gaen_keys_that_are_none(folder: Path, held: bytes) -> None:
    (folder / "gaen" / "310-v2").write_bytes(held)
    with pytest.raises(Invalid, match=r"gaen|310-v2"):
        KeyFolder(folder).gaen_keys()


def test_keys_that_are_missing(folder: Path) -> None:
    (folder / "head").unlink()
    with pytest.raises(Unavailable, match="head"):
        KeyFolder(folder).head_key()
    shutil.rmtree(folder / "gaen")
    with pytest.raises(Unavailable, match="gaen"):
        KeyFolder(folder).gaen_keys()
    shutil.rmtree(folder / "days")
    with pytest.raises(Unavailable, match="days"):
        KeyFolder(folder).make_days_ahead(TODAY)


def test_gaen_keys_are_known_by_the_names_of_their_files(folder: Path) -> None:
    """Case 3: the new key lies beside the old one before it signs."""
    (folder / "gaen" / "README").write_bytes(b"")
    (folder / "gaen" / "README").chmod(0o600)
    keys = KeyFolder(folder).gaen_keys()
    assert set(keys) == set(INFOS)
    assert len({public_pem(key) for key in keys.values()}) == 2


def test_gaen_signatures_are_the_same_each_time() -> None:
    """RFC 6979, DER; and somebody else's verification takes them."""
    signature = GaenSigner(P256).sign(b"export")
    assert signature == GaenSigner(P256).sign(b"export")
    P256.public_key().verify(signature, b"export", ec.ECDSA(hashes.SHA256()))
