"""The key folder: every secret of a deployment, one file each, readable by its owner alone.

Kept apart from the journal and its copies, because destroying a day key is what erases a day. A folder or file that
others may read is refused, by every command.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import Day

SECRET_BYTES: Final = 32
DAYS_AHEAD: Final = 7
"""Day keys are made this many days before they are needed, on every site."""

PURPOSES: Final = {
    "days/": "one key a UTC day: seals what was reported that day. Destroying it is what erases the day.",
    "issuing-1": "makes and checks the codes of issuing period 1. Who has it can make codes.",
    "head": "signs the head that every app follows (Ed25519).",
    "gaen": "signs the export files for Apple's and Google's phones (ECDSA P-256).",
}
"""What each file of the folder is for, in the words of `tocsin init`."""


class KeyFolder:
    """The secrets below `folder`. Opening it refuses loose modes; it is also the `DayKeys` port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise Refused("no_keys", f"there is no key folder at {folder}: is this a folder made by `tocsin init`?")
        refuse_loose_modes(folder)
        self._day_keys: dict[Day, bytes] = {}
        self._issuing_secrets: dict[int, bytes] = {}

    @classmethod
    def create(cls, folder: Path, today: Day) -> "KeyFolder":
        """A new folder with a secret for each purpose and the day keys of today and the days ahead."""
        folder.mkdir(mode=0o700)
        (folder / "days").mkdir(mode=0o700)
        _write_new(folder / "issuing-1", secrets.token_bytes(SECRET_BYTES))
        _write_new(folder / "head", _pem(ed25519.Ed25519PrivateKey.generate()))
        _write_new(folder / "gaen", _pem(ec.generate_private_key(ec.SECP256R1())))
        keys = cls(folder)
        keys.make_days_ahead(today)
        return keys

    def make_days_ahead(self, today: Day) -> None:
        """Makes the day keys of today and the next days where they are missing. Safe beside other processes."""
        for day in range(today, today + DAYS_AHEAD + 1):
            path = self._day_path(Day(day))
            if not path.exists():
                _write_new(path, secrets.token_bytes(SECRET_BYTES))

    def day_key(self, day: Day) -> bytes | None:
        """The 32-byte key of that UTC day, or None if it is not made yet or destroyed."""
        if day not in self._day_keys:
            path = self._day_path(day)
            if not path.exists():
                return None
            self._day_keys[day] = _secret(path)
        return self._day_keys[day]

    def has_day_key(self, day: Day) -> bool:
        """Whether the key of that day is in the folder at this moment."""
        return os.path.exists(f"{self.folder}/days/{day}")  # text: as above

    def issuing_secret(self, period: int) -> bytes | None:
        """The 32-byte issuing secret of that period, or None if it is destroyed."""
        path = f"{self.folder}/issuing-{period}"  # text: to make a `Path` costs more than to ask, and each call asks
        if not os.path.exists(path):  # each time: a destroyed secret is gone at once
            self._issuing_secrets.pop(period, None)
            return None
        if period not in self._issuing_secrets:
            self._issuing_secrets[period] = _secret(Path(path))
        return self._issuing_secrets[period]

    def head_key(self) -> ed25519.Ed25519PrivateKey:
        """The key that signs heads."""
        key = _private_key(self.folder / "head")
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise Invalid("the key file `head` does not hold an Ed25519 key")
        return key

    def gaen_key(self) -> ec.EllipticCurvePrivateKey:
        """The key that signs GAEN exports."""
        key = _private_key(self.folder / "gaen")
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise Invalid("the key file `gaen` does not hold an ECDSA P-256 key")
        return key

    def _day_path(self, day: Day) -> Path:
        return self.folder / "days" / str(day)


class GaenSigner:
    """The `Signer` of GAEN exports: ECDSA P-256 with SHA-256, DER, deterministic (RFC 6979)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """The DER signature over `message`; the same each time."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half, as PEM."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )


def refuse_loose_modes(folder: Path) -> None:
    """Raises `Refused` if the folder, or anything in it, can be read or changed by others than its owner."""
    for path in (folder, *folder.rglob("*")):
        if stat.S_IMODE(path.lstat().st_mode) & 0o077:
            raise Refused(
                "loose_modes", f"others can read {path}: run `chmod -R go= {folder}`, and ask who may have read it"
            )


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private_key(path: Path) -> object:
    try:
        return serialization.load_pem_private_key(_bytes(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(f"the key file `{path.name}` does not hold a private key in PEM") from None


def _secret(path: Path) -> bytes:
    secret = _bytes(path)
    if len(secret) != SECRET_BYTES:
        raise Invalid(f"the key file `{path.name}` does not hold {SECRET_BYTES} bytes")
    return secret


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"the key file `{path.name}` can't be read: {os.strerror(error.errno or 0)}") from error


def _write_new(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet, whole and durable; another process's file of that name is kept."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(f"the key folder can't be written: {os.strerror(error.errno or 0)}") from error
