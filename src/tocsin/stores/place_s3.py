"""A place that is a prefix of an S3 bucket, of whatever make: all it must know beyond the usual is `If-None-Match`.

What opens it are the usual variables of the environment (`AWS_ACCESS_KEY_ID`, …), or the same names in a file, one
`NAME=value` a line. Nothing of them is ever told; nor is what a store says in its errors, which may repeat them.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import obstore
from obstore import exceptions
from obstore.store import S3Store

from tocsin.model.errors import Invalid, Unavailable
from tocsin.stores.durable import in_words
from tocsin.stores.place import Found

if TYPE_CHECKING:
    from obstore.store import S3Config

PROBE: Final = "_probe"
"""Made once and left: what is never removed can be tried by any number of servers at once."""
CONNECT_TIMEOUT: Final = "3s"
REQUEST_TIMEOUT: Final = "10s"
MAX_RETRIES: Final = 2
"""A publisher waits for the archive: it must hear within a minute that it is away, and try again by itself."""
REGION: Final = "us-east-1"
"""What most stores other than Amazon's take for their only one."""

_READ: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
)
_UNSAFE: Final = ("AWS_S3_ALLOW_UNSAFE_RENAME", "AWS_CONDITIONAL_PUT", "AWS_S3_LOCKING_PROVIDER")
"""Each lets two writers believe that they were first, or makes that depend on a service that is not asked for here."""


def access(credentials: Path | None) -> dict[str, str]:
    """The variables that open buckets, from the environment and, before it, from the file `credentials`.

    Raises `Invalid` for a file that is not as it should be, and for variables under which nothing is safe.
    """
    given = dict(os.environ)
    if credentials is not None:
        given |= _from_file(credentials)
    for name in _UNSAFE:
        if name in given:
            raise Invalid(f"{name} is set: with it two writers could both believe that they were first. Unset it")
    values = {name: given[name] for name in _READ if given.get(name)}
    if values.get("AWS_ENDPOINT_URL", "").startswith("http://") and "AWS_ALLOW_HTTP" not in values:
        raise Invalid(
            "AWS_ENDPOINT_URL is http, which anybody on the way can read: use https, or, within one machine or a"
            " closed network, set AWS_ALLOW_HTTP=true"
        )
    if "AWS_DEFAULT_REGION" not in values:
        values.setdefault("AWS_REGION", REGION)
    return values


def _from_file(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            lines = file.read().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise Invalid(f"{path}, which opens the bucket, can't be read: {in_words(error)}") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is no text in UTF-8") from None
    if mode & 0o077:
        raise Invalid(f"{path} can be read by others: chmod 600 {path}")
    values = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name.strip() not in (*_READ, *_UNSAFE):
            raise Invalid(f"line {number} of {path} is not NAME=value with one of {', '.join(_READ)}")
        values[name.strip()] = value.strip()
    return values


class S3Place:
    """The objects of `bucket` below `prefix`, opened by the variables `values`."""

    def __init__(self, bucket: str, prefix: str, values: Mapping[str, str]) -> None:
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._values = dict(values)
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=cast(
                "S3Config", {name.lower(): value for name, value in values.items() if name != "AWS_ALLOW_HTTP"}
            ),
            client_options={
                "allow_http": values.get("AWS_ALLOW_HTTP", "").lower() == "true",
                "connect_timeout": CONNECT_TIMEOUT,
                "timeout": REQUEST_TIMEOUT,
            },
            retry_config={"max_retries": MAX_RETRIES},
        )

    @property
    def options(self) -> Mapping[str, str]:
        return {
            **self._values,
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": REQUEST_TIMEOUT,
            "max_retries": str(MAX_RETRIES),
        }

    def refuse_unfit(self) -> None:
        self.create(PROBE, b"")
        if self.create(PROBE, b""):
            raise Invalid(
                f"{self.uri} takes an object a second time where it is told to refuse (it ignores If-None-Match): two"
                " writers would overwrite each other. Use a store that knows conditional writes, or a newer version"
                " of this one"
            )

    def keeps_versions(self) -> bool:
        """By what it says of the object it was tried with: with versioning on or suspended, each has a version."""
        with self._asked():
            return obstore.head(self._store, PROBE).get("version") is not None

    def create(self, name: str, data: bytes) -> bool:
        with self._asked():
            try:
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return False
        return True

    def read(self, name: str) -> bytes | None:
        with self._asked():
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except (exceptions.NotFoundError, FileNotFoundError):
                return None

    def settle(self, names: Iterable[str]) -> None:
        """Nothing: what a bucket has taken is durable."""

    def found(self) -> list[Found]:
        with self._asked():
            return [
                Found(meta["path"], meta["size"], int(meta["last_modified"].timestamp()))
                for page in obstore.list(self._store)
                for meta in page
            ]

    def remove(self, names: Iterable[str]) -> None:
        with self._asked():
            for name in names:
                obstore.delete(self._store, name)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            why = "it refuses what opens it: look at AWS_ACCESS_KEY_ID and its like, and at the rights they give"
        except (exceptions.NotFoundError, FileNotFoundError):
            why = "there is no such bucket: make it, or name the right one"
        except (exceptions.BaseError, OSError, ValueError):
            why = "it does not answer, or says no: look at AWS_ENDPOINT_URL, the network, and the store's own log"
        else:
            return
        raise Unavailable(f"{self.uri} can't be used: {why}")
