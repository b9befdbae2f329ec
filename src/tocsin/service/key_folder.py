"""The key folder: every secret of a deployment, one file each, readable by its owner alone.

Kept apart from the journal and its copies, because destroying a day key is what erases a day. A folder or file that
others may read is refused, by every command.
"""

import os
import re
import secrets
import stat
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.labels import derive
from tocsin.model.policy import KEY_NAME, SignatureInfo
from tocsin.model.times import Day, Instant, utc
from tocsin.stores.durable import in_words, sync_folder, write_synced, write_whole, writing

SECRET_BYTES: Final = 32
DAYS_AHEAD: Final = 7
"""Day keys are made this many days before they are needed, on every site."""

PURPOSES: Final = {
    "days/": "one key a UTC day: seals what was reported that day. Destroying it is what erases the day.",
    "issuing-1": "makes and checks the codes of issuing period 1. Who has it can make codes.",
    "head": "signs the head that every app follows (Ed25519).",
    "gaen/": "signs the export files for Apple's and Google's phones (ECDSA P-256); a file is named ID-VERSION.",
}
"""What each file of the folder is for, in the words of `tocsin init`."""


_DAY_NAME: Final = re.compile(r"[0-9]{1,10}")
"""What is named otherwise in the folder of day keys is none: ² is a digit too, to Python."""
_SIGNS_FROM_WORDS: Final = "signs-from: "
"""Before a UTC second, on the first line of an announced GAEN key's file: key and instant can't be parted."""


class KeyFolder:
    """The secrets below `folder`. Opening it refuses loose modes; it is also the `DayKeys` port."""

    def __init__(self, folder: Path) -> None:
        self._look_into(folder)
        refuse_loose_modes(folder)

    @classmethod
    def to_examine(cls, folder: Path) -> "KeyFolder":
        """The folder whatever its modes, for who looks what is wrong with it and does nothing with its keys."""
        keys = cls.__new__(cls)
        keys._look_into(folder)
        return keys

    def _look_into(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise Refused("no_keys", f"there is no key folder at {folder}: is this a folder made by `tocsin init`?")
        self._day_keys: dict[Day, bytes] = {}
        self._issuing_secrets: dict[int, bytes] = {}

    @classmethod
    def create(cls, folder: Path, today: Day, infos: Iterable[SignatureInfo]) -> "KeyFolder":
        """A new folder: a secret for each purpose, a GAEN key for each of `infos`, day keys of today and ahead."""
        folder.mkdir(mode=0o700)
        (folder / "days").mkdir(mode=0o700)
        _write_new(folder / "issuing-1", secrets.token_bytes(SECRET_BYTES))
        _write_new(folder / "head", _pem(ed25519.Ed25519PrivateKey.generate()))
        (folder / "gaen").mkdir(mode=0o700)
        for info in infos:
            name = f"{info.verification_key_id}-{info.verification_key_version}"
            _write_new(folder / "gaen" / name, _pem(ec.generate_private_key(ec.SECP256R1())))
        keys = cls(folder)
        keys.make_days_ahead(today)
        return keys

    def make_days_ahead(self, today: Day, not_again: Container[int] = frozenset()) -> None:
        """Makes the day keys of the next days that are not there, and today's. Safe beside other processes.

        None is made for a day of `not_again`: it is erased, whatever a clock that was set back says.

        Today's is not made if a later one is there: keys are made in order, so it was lost, and with a new one what was
        sealed by it could never be opened again once it is found. Nothing is sealed by a key whose day is to come: a
        gap there is filled; a clock may have been ahead once.
        """
        self.look_anew(today)
        last = today + DAYS_AHEAD
        made = set(self.days())
        in_order = max((day for day in made if day <= last), default=0)
        for day in range(today if in_order < today else today + 1, last + 1):
            if day not in made and day not in not_again:
                _write_new(self._day_path(Day(day)), secrets.token_bytes(SECRET_BYTES))

    def look_anew(self, today: Day) -> None:
        """Forgets the day keys that were read, of which one may be destroyed; removes what killed processes left."""
        self._day_keys.clear()
        self._remove_drafts(today)

    def put_day_key(self, day: Day, key: bytes) -> None:
        """Puts a key of another machine in the place of any that is there, durable. Raises `Invalid` if it is none."""
        if len(key) != SECRET_BYTES:
            raise Invalid(f"a day key has {SECRET_BYTES} bytes")
        with writing(self._day_path(day)):
            write_whole(self._day_path(day), key, 0o600)
            sync_folder(self.folder / "days")
        self._day_keys.clear()

    def _remove_drafts(self, today: Day) -> None:
        """Removes what killed processes left: a second name, under which a destroyed key would live on.

        Left alone are drafts of keys that another process may be about to make.
        """
        for folder in (self.folder / "days", self.folder / "gaen"):
            names = set(_names(folder))
            for draft in (name for name in names if name.startswith(".")):
                name = draft[1:].rpartition(".")[0]
                if name in names or (_DAY_NAME.fullmatch(name) and int(name) < today):
                    with writing(folder / draft):
                        (folder / draft).unlink(missing_ok=True)

    def destroy_days(self, days: Container[int]) -> list[Day]:
        """Destroys the keys of these days, as far as they are here, drafts included; returns the days that had one.

        A key that is being destroyed has no name of a key any more, so a crash leaves no half of one. Its bytes are
        overwritten, which a disk that writes elsewhere each time may undo: docs/operating/retention.md.
        """
        folder, destroyed = self.folder / "days", []
        for name in _names(folder):
            day = name.removeprefix(".").partition(".")[0]
            if _DAY_NAME.fullmatch(day) and int(day) in days:
                _destroy(folder / name)
                destroyed.append(Day(int(day)))
        if destroyed:
            self._day_keys.clear()
        return destroyed

    def days(self) -> list[Day]:
        """The days of which there is a key file, whatever is in it."""
        return [Day(int(name)) for name in _names(self.folder / "days") if _DAY_NAME.fullmatch(name)]

    def day_key(self, day: Day) -> bytes | None:
        """The 32-byte key of that UTC day, or None if it is not made yet, lost or destroyed."""
        key = self._day_keys.get(day) or _secret(self._day_path(day))
        if key is not None:
            self._day_keys[day] = key
        return key  # not from the table again: another thread may have cleared it

    def has_day_key(self, day: Day) -> bool:
        """Whether the key of that day is in the folder at this moment, and is one."""
        return _is_there(f"{self.folder}/days/{day}") and self.day_key(day) is not None

    def issuing_secret(self, period: int) -> bytes | None:
        """The 32-byte issuing secret of that period, or None if it is destroyed."""
        path = f"{self.folder}/issuing-{period}"  # text: to make a `Path` costs more than to ask, and each call asks
        if not _is_there(path):  # each time: a destroyed secret is gone at once
            self._issuing_secrets.pop(period, None)
            return None
        secret = self._issuing_secrets.get(period) or _secret(Path(path))
        if secret is not None:
            self._issuing_secrets[period] = secret
        return secret

    def head_key(self) -> ed25519.Ed25519PrivateKey:
        """The key that signs heads."""
        key = _private_key(self.folder / "head")
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise Invalid("the key file `head` does not hold an Ed25519 key")
        return key

    def checkpoint_key(self) -> bytes:
        """The 32-byte key under which this deployment's checkpoints are sealed."""
        return derive(self.head_key().private_bytes_raw(), "checkpoint-key")

    def gaen_keys(self) -> dict[SignatureInfo, ec.EllipticCurvePrivateKey]:
        """The keys that sign GAEN exports, by their names as phones know them."""
        return {info: self._gaen_key(path.name) for info, path in self._gaen_files().items()}

    def gaen_signs_from(self) -> dict[SignatureInfo, Instant]:
        """From which instant on each GAEN key signs: 0 for those of the founding. The line before the PEM says so."""
        return {info: _signs_from(path) for info, path in self._gaen_files().items()}

    def announce_gaen_key(self, info: SignatureInfo, signs_from: Instant) -> None:
        """Makes a GAEN key that signs nothing before `signs_from`: it says so in its file. Kept if it is there."""
        line = f"{_SIGNS_FROM_WORDS}{signs_from} ({utc(signs_from)})\n".encode()
        _write_new(self._gaen_path(info), line + _pem(ec.generate_private_key(ec.SECP256R1())))

    def remove_gaen_key(self, info: SignatureInfo) -> None:
        """Destroys a GAEN key. Whoever calls this knows that nothing needs it any more."""
        path = self._gaen_path(info)
        with writing(path):
            for draft in path.parent.glob(f".{path.name}.*"):  # a second name, left by a process that was killed
                draft.unlink(missing_ok=True)
            path.unlink()
            sync_folder(path.parent)

    def _gaen_path(self, info: SignatureInfo) -> Path:
        return self.folder / "gaen" / f"{info.verification_key_id}-{info.verification_key_version}"

    def _gaen_files(self) -> dict[SignatureInfo, Path]:
        """Each file is named ``ID-VERSION``; what is named otherwise is no key: a note, or a person's copy of one."""
        folder = self.folder / "gaen"
        named = {tuple(name.split("-", 1)): folder / name for name in _names(folder) if "-" in name}
        return {
            SignatureInfo(*parts): path
            for parts, path in named.items()
            if all(KEY_NAME.fullmatch(part) for part in parts)
        }

    def _gaen_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = _private_key(self.folder / "gaen" / name)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise Invalid("a key file in `gaen` does not hold an ECDSA P-256 key")
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
    try:
        for path in (folder, *folder.rglob("*")):
            with suppress(FileNotFoundError):  # another process's draft, which has its name by now
                refuse_loose_mode(path, folder)
    except OSError as error:
        raise Unavailable(f"{folder} can't be read: {in_words(error)}") from None


def refuse_loose_mode(path: Path, folder: Path) -> None:
    """Raises `Refused` if `path`, in `folder`, can be read or changed by others than its owner."""
    if stat.S_IMODE(path.lstat().st_mode) & 0o077:
        raise Refused(
            "loose_modes", f"others can read {path}: run `chmod -R go= {folder}`, and ask who may have read it"
        )


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private_key(path: Path) -> object:
    pem = _bytes(path)
    if pem is None:
        raise Unavailable(f"the key file `{path.name}` is missing: restore it from its backup")
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(f"the key file `{path.name}` does not hold a private key in PEM") from None


def _signs_from(path: Path) -> Instant:
    """What the file of a GAEN key says before its PEM, which readers of PEM pass over (RFC 7468 §2)."""
    held = _bytes(path) or b""
    if held.lstrip().startswith(b"-----BEGIN"):
        return Instant(0)
    found = re.match(rb"signs-from: ([0-9]{1,12})[ \n]", held)
    if found is None:
        raise Invalid(f"the key file `{path.name}` begins with neither {_SIGNS_FROM_WORDS!r} nor a key: restore it")
    return Instant(int(found[1]))


def _secret(path: Path) -> bytes | None:
    secret = _bytes(path)
    if secret is not None and len(secret) != SECRET_BYTES:
        raise Invalid(f"the key file `{path.name}` does not hold {SECRET_BYTES} bytes")
    return secret


def _bytes(path: Path) -> bytes | None:
    """What the file holds, None if it is not there. Raises `Unavailable` if it can't be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(error) from error


def _is_there(path: str) -> bool:
    """Whether there is such a file. Raises `Unavailable` if that can't be told: out of reach is not destroyed."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(error) from error
    return True


def _names(folder: Path) -> list[str]:
    """The names in a folder, sorted. Raises `Unavailable` if it is missing or can't be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> Unavailable:
    return Unavailable(f"the key folder can't be read: {os.path.basename(error.filename)}: {in_words(error)}")


def _destroy(path: Path) -> None:
    """Takes the file's name away, overwrites what it holds, and removes it. Another process may do the same."""
    doomed = path.with_name(f".{path.name.removeprefix('.')}.{secrets.token_hex(8)}")
    with writing(path), suppress(FileNotFoundError):
        os.rename(path, doomed)
        sync_folder(path.parent)
        with doomed.open("r+b") as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))
            file.flush()
            os.fsync(file.fileno())
        doomed.unlink()
        sync_folder(path.parent)


def _write_new(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet, whole and durable; another process's file of that name is kept."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with writing(path):
        try:
            write_synced(draft, data, 0o600)
            os.link(draft, path)
        except (FileExistsError, FileNotFoundError):  # made by another process, which may have removed this draft too
            if not path.exists():
                raise
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
