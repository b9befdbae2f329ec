"""The disks: room left on each, whether every folder can be written, and by one and the same user."""

import os
from collections.abc import Iterator

from tocsin.service.doctor.finding import Code, Finding
from tocsin.service.doctor.subject import Subject
from tocsin.service.soundness import look_at_disks
from tocsin.stores.durable import in_words


def look(subject: Subject) -> Iterator[Finding]:
    """Disks that are full or nearly so, folders that can't be written, files that the server's user does not own."""
    for disk in look_at_disks(subject.folders):
        if disk.free_bytes is None:
            yield Finding(
                Code.NOT_WRITABLE,
                f"{disk.folder} can't be written: see that it is there, that it is this user's, and that its disk is"
                f" not mounted read-only. {disk.consequence}",
            )
            continue
        room = f"The disk of {disk.folder} has {disk.free_bytes >> 20:,} MiB left"
        if disk.is_full:
            yield Finding(Code.DISK_FULL, f"{room}, less than a twentieth: free some now. {disk.consequence}")
        else:
            yield Finding(Code.DISK_LOW, f"{room}: free some, never by removing a file of tocsin's. {disk.consequence}")
    yield from _owners(subject)


def _owners(subject: Subject) -> Iterator[Finding]:
    """A command that was once run by another user leaves files that the server can't write."""
    folders = subject.folders
    made_by_servers = tuple(each for each in (folders.spool.parent, folders.checkpoints) if each.exists())
    try:
        owner = os.stat(folders.journal.parent).st_uid
        for folder in (folders.journal.parent, folders.keys, folders.bucket, *made_by_servers):
            for place, below, files in os.walk(folder):
                for path in (os.path.join(place, name) for name in (*below, *files)):
                    if os.lstat(path).st_uid != owner:
                        yield Finding(
                            Code.MIXED_OWNERS,
                            f"{path} belongs to another user than {folders.journal.parent}: the server can't write it."
                            f" Run `chown -R USER {folders.top}` with the user that runs the server, and every command"
                            " as that user.",
                        )
                        return
    except FileNotFoundError:  # gone meanwhile: the next examination looks again
        return
    except OSError as error:
        yield Finding(Code.NOT_WRITABLE, f"{folders.top} can't be looked through: {in_words(error)}.")
