"""Founding a deployment: its folder, its keys, its journal with event 1, and what apps must trust.

The settings come last: a folder without them is no deployment, whatever else it holds. What fails is taken away again;
what a crash leaves behind is named at the next try.
"""

import os
import secrets
import shutil
from contextlib import closing, suppress
from pathlib import Path

from tocsin.journal.encoding import NewEvent
from tocsin.model.base64url import encode
from tocsin.model.errors import Refused
from tocsin.model.events import Founded
from tocsin.model.ports import Clock
from tocsin.model.times import Instant, day_of
from tocsin.service.deployment import durability
from tocsin.service.journal_choice import create_journal
from tocsin.service.key_folder import KeyFolder
from tocsin.service.settings import Folders, Settings, settings_text
from tocsin.service.trust import write_trust
from tocsin.stores.durable import sync_folder, write_whole, writing

DEPLOYMENT_ID_BYTES = 32


def found(top: Path, settings: Settings, clock: Clock) -> Folders:
    """Makes a deployment in the new or empty folder `top`, durable when this returns; all of it or nothing.

    Raises `Refused` if the folder holds anything, `Unavailable` if the disk says no: then nothing is left behind.
    """
    now = clock.now()
    folders = Folders(top)
    with writing(top):
        is_new = not top.exists()
        top.mkdir(parents=True, exist_ok=True)
        _refuse_held(folders)
    try:
        with writing(top):
            _claim(folders)
        try:
            with writing(top):
                _fill(folders, settings, now)
        except BaseException:
            _take_away(folders)
            raise
    except BaseException:
        if is_new:
            with suppress(OSError):  # not empty, if it is another's by now
                top.rmdir()
        raise
    return folders


def _refuse_held(folders: Folders) -> None:
    """Raises `Refused` if the folder holds anything; says so where it is what a crash left of a founding."""
    held = os.listdir(folders.top)
    parts = {path.name for path in (*_parts(folders), folders.settings)}
    is_unfinished = folders.settings.name not in held and {name.removeprefix(".") for name in held} <= parts
    if held and is_unfinished:
        raise Refused(
            "not_empty", f"{folders.top} is not empty: it holds a founding that broke off; remove it, then try again"
        )
    if held:
        raise Refused("not_empty", f"{folders.top} is not empty: a deployment is founded in a folder of its own")


def _claim(folders: Folders) -> None:
    """Makes the first part: of two that found here at the same moment, one is refused, and takes nothing away."""
    try:
        folders.journal.parent.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused("not_empty", f"{folders.top} is not empty: another `tocsin init` founds in it") from None


def _fill(folders: Folders, settings: Settings, now: Instant) -> None:
    keys = KeyFolder.create(folders.keys, day_of(now), settings.policy.gaen_signature_infos)
    folders.bucket.mkdir()
    write_trust(folders, settings, keys)
    for folder in (folders.keys, folders.top):
        sync_folder(folder)
    founded = Founded(settings.region, encode(secrets.token_bytes(DEPLOYMENT_ID_BYTES)))
    # a journal that lies elsewhere can't be taken away again: as late as it may be
    journal = create_journal(settings.journal, folders.journal, durability(settings))
    with closing(journal), journal.group(now) as group:
        group.append(NewEvent(founded))
    write_whole(folders.settings, settings_text(settings).encode(), 0o644)
    for folder in (folders.top, folders.top.absolute().parent):
        sync_folder(folder)


def _parts(folders: Folders) -> tuple[Path, ...]:
    """What a founding makes before the settings."""
    return folders.keys, folders.journal.parent, folders.bucket, folders.trust


def _take_away(folders: Folders) -> None:
    """Removes what a founding that failed has made. The settings first: without them nothing is a deployment."""
    for path in (folders.settings, *_parts(folders)):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
