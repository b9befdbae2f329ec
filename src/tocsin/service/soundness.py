"""What is wrong with a deployment's folders and files, as far as looking tells. Changes nothing."""

import os
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


class Bucket(Struct, frozen=True):
    """What the bucket's head says, its files in force that are lost or damaged, and what is in it and not tocsin's.

    `trouble`: why the head can't be used, where it can't.
    """

    out: Released
    trouble: str | None
    lost: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


class Disk(Struct, frozen=True):
    """A part of the deployment whose disk is low or can't be written; `free_bytes` None: it can't be written."""

    folder: str
    free_bytes: int | None


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
    found: dict[int, Disk] = {}
    unwritable = []
    for folder in (folders.journal.parent, folders.bucket, folders.keys):
        try:
            if not os.access(folder, os.W_OK):
                unwritable.append(Disk(str(folder), None))
                continue
            disk, device = os.statvfs(folder), os.stat(folder).st_dev
        except OSError:
            unwritable.append(Disk(str(folder), None))
            continue
        free = disk.f_bavail * disk.f_frsize
        if free < min(LOW_SHARE * disk.f_blocks * disk.f_frsize, LOW_BYTES):
            found.setdefault(device, Disk(str(folder), free))
    return (*unwritable, *found.values())
