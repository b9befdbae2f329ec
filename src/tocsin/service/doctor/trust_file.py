"""``trust.json``, with which apps are built: whether it says what settings and key folder say."""

import os
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from tocsin.client.trust import Trust, parse_trust
from tocsin.model.errors import Invalid
from tocsin.service.doctor.finding import Code, Finding
from tocsin.service.doctor.subject import Subject
from tocsin.service.trust import trust_of

WRITE: Final = "`tocsin keys trust` writes it anew"


def look(subject: Subject) -> Iterator[Finding]:
    """A trust file that is missing, or that apps could not follow this deployment by."""
    wanted = trust_of(subject.settings, subject.keys)
    path = subject.folders.trust
    try:
        found = parse_trust(path.read_bytes())
    except (FileNotFoundError, Invalid):
        yield Finding(Code.TRUST_MISSING, f"{path} is missing, or no trust file: {WRITE}, from settings and keys.")
        return
    except OSError as error:
        yield Finding(Code.TRUST_MISSING, f"{path} can't be read: {os.strerror(error.errno or 0)}.")
        return
    yield from _differences(found, wanted, subject)


def _differences(found: Trust, wanted: Trust, subject: Subject) -> Iterator[Finding]:
    path = subject.folders.trust
    if not set(wanted.vkeys) <= set(found.vkeys):
        yield Finding(
            Code.TRUST_OTHER_KEY,
            f"{path} does not trust the key `head` of {subject.folders.keys}, or names another origin: apps built with"
            " it refuse every head. Restore that key, or the setting `origin`, from its backup; a new head key means"
            " new apps.",
        )
    announced = {(key.verification_key_id, key.verification_key_version): key for key in found.gaen_keys}
    for key in wanted.gaen_keys:
        name = key.verification_key_id, key.verification_key_version
        if announced.get(name) != key:
            yield Finding(
                Code.GAEN_KEY_UNANNOUNCED,
                f"keys/gaen/{'-'.join(name)} is not announced in {path}: a key that was put in by hand signs without"
                " notice, and apps that do not know it refuse its files. Take it out and use `tocsin keys announce`;"
                f" or, if it is the restored one, {WRITE}.",
            )
    if replace(found, vkeys=wanted.vkeys, gaen_keys=wanted.gaen_keys) != wanted or len(found.gaen_keys) > len(
        wanted.gaen_keys
    ):
        yield Finding(
            Code.TRUST_OUTDATED,
            f"{path} says otherwise than {subject.folders.settings} and the key folder: if the settings are right,"
            f" {WRITE}; apps that are out keep what they were built with.",
        )
