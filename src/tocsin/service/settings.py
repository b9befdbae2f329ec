"""Settings: what one deployment's folder holds, and its `tocsin.toml`."""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from tocsin.model.errors import Invalid, Refused
from tocsin.model.policy import Policy
from tocsin.service.archive_settings import ArchiveSettings
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.operations import Operations
from tocsin.service.settings_table import read_table

REGION: Final = re.compile(r"[a-z0-9-]{1,32}")
BASE_URL: Final = re.compile(r"https?://[!$-.0->@-\[\]-~][!$->@-\[\]-~]*")
"""Printable ASCII without a query or fragment, quotes or backslashes, which would not survive `settings_text`."""
HOST: Final = re.compile(r"[0-9A-Za-z.:%_-]{1,255}")
ORIGIN: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}(/[a-z0-9._-]{1,64}){0,3}")

MOST_PROXIES: Final = 8
"""More in a row is a slip of the pen."""
Connections = int | Literal["none"]
"""A limit; ``none`` is no limit, for TOML has no null."""

_SHOWN: Final = {
    "minimum_reports": "reports that must wait before additions go out",
    "longest_wait_seconds": "after this, additions go out whatever their number",
    "hold_back_quarters": "random delay of a part, in quarter-hours",
    "self_reports": "reports without a code",
    "person_daily_cards": 'cards a day by one person; "none": no limit',
    "provider_daily_cards": "cards a day for one provider, likewise",
    "surge_reports": 'reports of one provider in four hours that are no surge yet; "none": no quarantine by itself',
}
"""The fields of the policy that `tocsin init` writes out, each with a word for whoever edits the file."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `tocsin.toml` says."""

    region: str
    """``[a-z0-9-]{1,32}``; one deployment is one region."""
    origin: str
    """The name under which heads are signed, such as ``tocsin.example.org/xx``."""
    base_url: str
    """Where apps reach this server: calls go to ``/v1/reports`` below it, files are fetched below it."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 8787
    """The TCP port to listen on."""
    single_machine: bool = False
    """Whether a journal that does not survive the end of one machine is meant (a demo, a drill): on a file system in
    memory, or in a PostgreSQL without a standby."""
    makes_day_keys: bool = True
    """Whether this machine makes the day keys; where there are several, one does, and the others get them from it."""
    trusted_proxies: int = 0
    """How many proxies stand before this server: that entry of ``X-Forwarded-For``, from the right, is believed."""
    connections_per_source: Connections = 512
    """Open connections of one address (IPv6: a /64), where no proxy stands before this server; ``none``: no limit."""
    journal: JournalChoice = JournalChoice()
    archive: ArchiveSettings = ArchiveSettings()
    operations: Operations = Operations()
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        if not REGION.fullmatch(self.region):
            raise ValueError("region must be 1 to 32 of a-z, 0-9 and -")
        if not ORIGIN.fullmatch(self.origin):
            raise ValueError("origin must be a host name, with a path if need be, in lower case")
        if not BASE_URL.fullmatch(self.base_url):
            raise ValueError("base_url must be an http or https address, in ASCII")
        if not HOST.fullmatch(self.host):
            raise ValueError("host must be an address or a host name")
        if not 0 <= self.port <= 65_535:
            raise ValueError("port must be from 0 to 65535")
        if not 0 <= self.trusted_proxies <= MOST_PROXIES:
            raise ValueError(f"trusted_proxies must be from 0 to {MOST_PROXIES}")
        if isinstance(self.connections_per_source, int) and self.connections_per_source < 1:
            raise ValueError('connections_per_source must be at least 1, or "none"')


class Folders(Struct, frozen=True):
    """Where things lie below a deployment's folder."""

    top: Path

    @property
    def settings(self) -> Path:
        """The settings, for a person to edit."""
        return self.top / "tocsin.toml"

    @property
    def journal(self) -> Path:
        """The journal's file, where SQLite keeps it."""
        return self.top / "journal" / "journal.sqlite"

    @property
    def spool(self) -> Path:
        """The calls that wait for the journal."""
        return self.top / "spool" / "spool.sqlite"

    @property
    def keys(self) -> Path:
        """The key folder; back it up sealed, and never beside the journal."""
        return self.top / "keys"

    @property
    def checkpoints(self) -> Path:
        """Saved ledgers: they make a start short, and may be removed at any time."""
        return self.top / "checkpoints"

    @property
    def bucket(self) -> Path:
        """The public files."""
        return self.top / "bucket"

    @property
    def trust(self) -> Path:
        """What an app is built with."""
        return self.top / "trust.json"


def load_settings(folders: Folders) -> Settings:
    """The settings of a deployment's folder.

    Raises `Refused` if it is none, `Invalid` with the field at fault if the file is not right.
    """
    path = folders.settings
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        way_out = "name its folder by --data or TOCSIN_DATA, or make one by `tocsin init`"
        raise Refused("no_deployment", f"there is no deployment in {folders.top}: {way_out}") from None
    except NotADirectoryError:
        raise Refused("no_deployment", f"{folders.top} is no folder, and so no deployment") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is no text in UTF-8: save it as such, or restore it") from None
    except OSError as error:
        raise Invalid(f"{path} can't be read: {os.strerror(error.errno or 0)}") from None
    try:
        return read_table(tomllib.loads(text), Settings)
    except tomllib.TOMLDecodeError as error:  # it says what and where, and repeats no value
        raise Invalid(f"{path} is not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise Invalid(f"{path} is not TOML: a number is too long, or too much lies within each other") from None
    except Invalid as invalid:
        raise Invalid(f"{path}: {invalid}") from None


def settings_text(settings: Settings) -> str:
    """`settings` as the text of a new `tocsin.toml`, with a word on each line that a person may want to change."""
    return f"""# A deployment of tocsin. Every setting, with its unit and default: docs/operating/settings.md
region = "{settings.region}"
origin = "{settings.origin}"        # signs the heads; apps pin it
base_url = "{settings.base_url}"    # where apps reach this server
host = "{settings.host}"
port = {settings.port}
single_machine = {str(settings.single_machine).lower()}   # true: a journal without a durable disk is meant
{_door_text(settings)}{_table_text("journal", settings.journal)}{_table_text("archive", settings.archive)}\
{_table_text("operations", settings.operations)}
[policy]
{_policy_text(settings.policy)}"""


def _door_text(settings: Settings) -> str:
    """Whether it makes day keys, its proxies, and how much one address may have, where not at the default."""
    given = {
        "makes_day_keys": settings.makes_day_keys,
        "trusted_proxies": settings.trusted_proxies,
        "connections_per_source": settings.connections_per_source,
    }
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items() if value != defaults[name])


def _table_text(name: str, table: JournalChoice | ArchiveSettings | Operations) -> str:
    """A table of settings, where it is not at its defaults."""
    values, default = msgspec.to_builtins(table), msgspec.to_builtins(type(table)())
    lines = [f"{field} = {json.dumps(value)}\n" for field, value in values.items() if value != default[field]]
    return "".join((f"\n[{name}]\n", *lines)) if lines else ""


def _policy_text(policy: Policy) -> str:
    """The lines of the policy: those fields that a person may want to change, and those not at their default."""
    values, default = msgspec.to_builtins(policy), msgspec.to_builtins(Policy())
    # numbers, truth values and lists of texts are spelt alike in JSON and in TOML
    lines = {name: f"{name} = {json.dumps(value)}" for name, value in values.items()}
    shown = "".join(f"{lines[name]:<28} # {word}\n" for name, word in _SHOWN.items())
    return shown + "".join(
        f"{line}\n" for name, line in lines.items() if name not in _SHOWN and values[name] != default[name]
    )
