"""What is wrong with a deployment's folders and files, as far as looking tells. Changes nothing."""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from tocsin.model.errors import TocsinError
from tocsin.publication.in_force import damaged, is_public_name
from tocsin.publication.release import Released, released
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.service.publish import refuse_other_journal
from tocsin.service.settings import Folders

LOW_SHARE: Final = 0.15
LOW_BYTES: Final = 1 << 30
"""A disk is low when less than both is free: a share alone would be much of a large one."""
FULL_SHARE: Final = 0.05
FULL_BYTES: Final = 1 << 28
"""Likewise, and somebody has to free some now."""


class Bucket(Struct, frozen=True):
    """What the bucket's head says, its files in force that are lost or damaged, and what is in it and not tocsin's.

    `trouble`: why the head can't be used, where it can't.
    """

    out: Released
    trouble: str | None
    lost: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


class Disk(Struct, frozen=True):
    """A part of the deployment whose disk is low or can't be written; `free_bytes` None: it can't be written.

    `consequence`: what does not happen while it can not be written, as a sentence.
    """

    folder: str
    free_bytes: int | None
    consequence: str
    is_full: bool = False
    """Less than a twentieth is left, or than 256 MiB of a large one."""


def look_at_bucket(deployment: Deployment) -> Bucket:
    """Reads each file in force whole, and every name in the folder."""
    region = deployment.settings.region
    try:
        out = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys))
        lost = damaged(out.leaf, deployment.bucket) if out.leaf is not None else []
        strangers = deployment.bucket.strangers(lambda name: is_public_name(name, region))
    except TocsinError as error:
        return Bucket(Released(None, None), str(error))
    try:
        refuse_other_journal(deployment.journal, out)
    except TocsinError as error:
        return Bucket(out, str(error), tuple(lost), tuple(strangers))
    return Bucket(out, None, tuple(lost), tuple(strangers))


def look_at_disks(folders: Folders) -> tuple[Disk, ...]:
    """The folders that grow, one for each disk that is low, and all that can't be written."""
    low: dict[int, Disk] = {}
    unwritable = []
    for folder, consequence in (
        (
            folders.journal.parent,
            "While it can't be written, reports are answered 503 and nothing is published; nothing is lost by it.",
        ),
        (folders.bucket, "While it can't be written, no version goes out; reports are taken."),
        (folders.keys, "While it can't be written, no day keys are made: in a week reports would be answered 503."),
        (
            folders.spool.parent,
            "While it can't be written, reports are answered 503 as soon as the journal is away.",
        ),
    ):
        if folder == folders.spool.parent and not folder.exists():  # made by the first server that needs it
            continue
        room = _room(folder)
        if room is None:
            unwritable.append(Disk(str(folder), None, consequence))
        elif room.free_bytes < min(LOW_SHARE * room.size_bytes, LOW_BYTES):
            is_full = room.free_bytes < min(FULL_SHARE * room.size_bytes, FULL_BYTES)
            low.setdefault(room.device, Disk(str(folder), room.free_bytes, consequence, is_full))
    return (*unwritable, *low.values())


class _Room(Struct, frozen=True):
    device: int
    free_bytes: int
    size_bytes: int


def _room(folder: Path) -> _Room | None:
    """What this user may still write there; None where that is nothing for another reason than room."""
    try:
        device, disk = os.stat(folder).st_dev, os.statvfs(folder)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    return _Room(device, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
