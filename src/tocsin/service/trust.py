"""What apps are told to trust, and how a new GAEN key comes among it before it signs.

A key is announced by making it: its file says from which instant on it signs, and ``trust.json`` is written anew. Every
key of the folder stands there, so readers accept the coming one early and the one before it as long as its files last.
"""

from msgspec import Struct

from tocsin.client.trust import GaenKey, Trust, encode_trust
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.policy import MOST_NOTICE_DAYS, SignatureInfo
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant, utc
from tocsin.publication.build import keys_in_force
from tocsin.publication.sign import key_file
from tocsin.service.deployment import head_verifier
from tocsin.service.key_folder import KeyFolder, public_pem
from tocsin.service.settings import Folders, Settings
from tocsin.stores.durable import sync_folder, write_whole, writing


class GaenKeyState(Struct, frozen=True):
    """A GAEN key of the folder. `listed`: the settings name it; `in_force`: public files are signed by it."""

    verification_key_id: str
    verification_key_version: str
    signs_from: int
    listed: bool
    in_force: bool


def trust_of(settings: Settings, keys: KeyFolder) -> Trust:
    """What an app of this deployment is built with; GAEN keys newest first."""
    base = settings.base_url.rstrip("/")
    signs_from, gaen = keys.gaen_signs_from(), keys.gaen_keys()
    return Trust(
        origin=settings.origin,
        vkeys=(head_verifier(settings, keys).vkey,),
        region=settings.region,
        freshness_seconds=settings.policy.freshness_seconds,
        reports_url=f"{base}/v1/reports",
        bucket_url=base,
        gaen_keys=tuple(
            GaenKey(info.verification_key_id, info.verification_key_version, public_pem(gaen[info]), signs_from[info])
            for info in _newest_first(settings, signs_from)
        ),
    )


def write_trust(folders: Folders, settings: Settings, keys: KeyFolder) -> None:
    """Writes ``trust.json`` anew, durable when this returns."""
    with writing(folders.trust):
        write_whole(folders.trust, encode_trust(trust_of(settings, keys)), 0o644)
        sync_folder(folders.top)


def announce(
    folders: Folders, settings: Settings, keys: KeyFolder, info: SignatureInfo, signs_from: int | None, now: int
) -> Instant:
    """Makes the GAEN key `info` and announces it in ``trust.json``; returns the instant from which it signs.

    That is `signs_from`, or as soon as the notice allows. Run again it announces the same key again. Raises `Refused`
    if the notice would be too short, or if such a key is there that signs, or will sign, from another instant.
    """
    earliest = now + settings.policy.gaen_notice_days * DAY_SECONDS
    latest = now + MOST_NOTICE_DAYS * DAY_SECONDS
    present = keys.gaen_signs_from().get(info)
    wanted = present if present and signs_from is None else signs_from
    chosen = Instant(-(-(earliest if wanted is None else wanted) // QUARTER_SECONDS) * QUARTER_SECONDS)
    exists = Refused(
        "key_exists", f"{key_file(info)} is there already and signs from another instant: take a new version"
    )
    if present is not None and (present != chosen or not present):
        raise exists
    if not earliest <= chosen <= latest:
        raise Refused(
            "notice_refused",
            f"a new key signs {settings.policy.gaen_notice_days} to {MOST_NOTICE_DAYS} days after it is announced: not"
            f" before {utc(-(-earliest // QUARTER_SECONDS) * QUARTER_SECONDS)}. One that was announced late is retired",
        )
    keys.announce_gaen_key(info, chosen)
    if keys.gaen_signs_from().get(info) != chosen:  # another process was faster
        raise exists
    write_trust(folders, settings, keys)
    return chosen


def retire(
    folders: Folders, settings: Settings, keys: KeyFolder, ledger: Ledger, info: SignatureInfo, now: int
) -> None:
    """Destroys the GAEN key `info` and takes it out of ``trust.json``. Raises `Refused` while anything needs it.

    Run again, after it broke off between the two, it does the second; and says that there is no such key.
    """
    if info in settings.policy.gaen_signature_infos:
        raise Refused(
            "key_listed",
            f"{key_file(info)} still signs: take it out of gaen_signature_infos, restart the server",
        )
    if info in keys_in_force(ledger):
        raise Refused(
            "key_in_force",
            f"{key_file(info)} signed public files that are still in force, and makes them again if they are lost:"
            " retire it when `tocsin keys list` says that it is not needed, 15 days or more after it last signed",
        )
    signs_from = keys.gaen_signs_from()
    is_there = info in signs_from
    if is_there and not any(signs_from.get(named, now + 1) <= now for named in settings.policy.gaen_signature_infos):
        raise Refused(
            "key_alone",
            f"no key that the settings name signs yet, so {key_file(info)} may be the only one that can: name it in"
            " gaen_signature_infos until another signs",
        )
    if is_there:
        keys.remove_gaen_key(info)
    write_trust(folders, settings, keys)
    if not is_there:
        raise Refused(
            "key_unknown", f"{key_file(info)} is not in the key folder, and {folders.trust.name} does not name it"
        )


def gaen_key_states(settings: Settings, keys: KeyFolder, ledger: Ledger) -> tuple[GaenKeyState, ...]:
    """Every GAEN key of the folder, newest first."""
    signs_from, in_force = keys.gaen_signs_from(), keys_in_force(ledger)
    return tuple(
        GaenKeyState(
            info.verification_key_id,
            info.verification_key_version,
            signs_from[info],
            listed=info in settings.policy.gaen_signature_infos,
            in_force=info in in_force,
        )
        for info in _newest_first(settings, signs_from)
    )


def _newest_first(settings: Settings, signs_from: dict[SignatureInfo, Instant]) -> list[SignatureInfo]:
    """Announced ones by their instant, then those that sign from the founding on, as the settings order them."""
    infos = settings.policy.gaen_signature_infos
    places = {info: place for place, info in enumerate(infos)}
    return sorted(signs_from, key=lambda info: (-signs_from[info], places.get(info, len(infos))))
