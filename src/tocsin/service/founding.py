"""Founding a deployment: its folder, its keys, its journal with event 1, and what apps must trust."""

import os
import secrets
from pathlib import Path

from tocsin.client.trust import GaenKey, Trust, encode_trust
from tocsin.journal import sqlite
from tocsin.journal.encoding import NewEvent
from tocsin.model.base64url import encode
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import Founded
from tocsin.model.ports import Clock
from tocsin.model.times import day_of
from tocsin.service.deployment import durability, head_verifier
from tocsin.service.key_folder import KeyFolder, public_pem
from tocsin.service.settings import Folders, Settings, settings_text

DEPLOYMENT_ID_BYTES = 32


def found(top: Path, settings: Settings, clock: Clock) -> Folders:
    """Makes a deployment in the new or empty folder `top`; its settings come last, so half a founding is none.

    Raises `Refused` if the folder holds anything, `Unavailable` if the disk says no.
    """
    now = clock.now()
    folders = Folders(top)
    try:
        top.mkdir(parents=True, exist_ok=True)
        if any(top.iterdir()):
            raise Refused("not_empty", f"{top} is not empty: a deployment is founded in a folder of its own")
        keys = KeyFolder.create(folders.keys, day_of(now), settings.policy.gaen_signature_infos)
        folders.journal.parent.mkdir(mode=0o700)
        folders.bucket.mkdir()
        journal = sqlite.create(folders.journal, durability=durability(settings))
        with journal.group(now) as group:
            group.append(NewEvent(Founded(settings.region, encode(secrets.token_bytes(DEPLOYMENT_ID_BYTES)))))
        journal.close()
        folders.trust.write_bytes(encode_trust(trust_of(settings, keys)))
        folders.settings.write_text(settings_text(settings), encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{top} can't be written: {os.strerror(error.errno or 0)}") from error
    return folders


def trust_of(settings: Settings, keys: KeyFolder) -> Trust:
    """What an app of this deployment is built with."""
    gaen = keys.gaen_keys()
    base = settings.base_url.rstrip("/")
    return Trust(
        origin=settings.origin,
        vkeys=(head_verifier(settings, keys).vkey,),
        region=settings.region,
        freshness_seconds=settings.policy.freshness_seconds,
        reports_url=f"{base}/v1/reports",
        bucket_url=base,
        gaen_keys=tuple(
            GaenKey(info.verification_key_id, info.verification_key_version, public_pem(gaen[info]))
            for info in settings.policy.gaen_signature_infos
        ),
    )
