"""`tocsin keys`: the keys that sign GAEN files: announce a new one, see all of them, destroy one that nothing needs."""

from typing import Annotated

from cyclopts import App, Parameter

from tocsin.cli import day_keys
from tocsin.cli.acting import DEFAULT_DATA, Data, Json, opened
from tocsin.cli.reading import read_instant
from tocsin.cli.terminal import InTerminal
from tocsin.model.errors import Invalid
from tocsin.model.policy import KEY_NAME, SignatureInfo
from tocsin.model.times import Instant, utc
from tocsin.publication.sign import key_file
from tocsin.service.trust import GaenKeyState, gaen_key_states, trust_of, write_trust
from tocsin.service.trust import announce as announce_key
from tocsin.service.trust import retire as retire_key

app = App(
    name="keys", help="Keys that sign GAEN files: announce, list, retire; trust.json. docs/operating/gaen-keys.md"
)
app.command(day_keys.app)

KeyId = Annotated[str, Parameter(name="ID", help="The key's ID as phones know it, such as the MCC 310.")]
Version = Annotated[str, Parameter(name="VERSION", help="The key's version, such as v2.")]


@app.command
def announce(
    key_id: KeyId,
    version: Version,
    /,
    *,
    signs_from: Annotated[str | None, Parameter(name="--from")] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    terminal: InTerminal,
) -> None:
    """Make a new GAEN key and announce it in trust.json. It signs nothing before its instant.

    Run again, it announces the same key again. The way back, before it signs: leave it out of
    gaen_signature_infos and run tocsin keys retire ID VERSION.

    Example: tocsin keys announce 310 v2

    Parameters
    ----------
    signs_from
        When it begins to sign; the earliest instant that gaen_notice_days allows unless given.
    """
    info = _info(key_id, version)
    wanted = read_instant(signs_from) if signs_from is not None else None
    with opened(data, terminal.clock) as deployment:
        folders, settings, keys = deployment.folders, deployment.settings, deployment.keys
        at = announce_key(folders, settings, keys, info, wanted, deployment.held_clock.now())
        [public] = [
            key
            for key in trust_of(settings, keys).gaen_keys
            if key.verification_key_id == key_id and key.verification_key_version == version
        ]
    if json:
        terminal.json({name: getattr(public, name) for name in public.__struct_fields__})
        return
    terminal.line(f"{key_file(info)} is made and announced in {folders.trust}; it signs from {utc(at)} on.")
    for line in public.pem.splitlines():
        terminal.line(line)
    terminal.say(
        "Back up the key folder. Hand the public key to Apple, Google and whoever builds an app: before it signs."
    )
    listed = [info, *(old for old in settings.policy.gaen_signature_infos if old != info)]
    names = ", ".join(f'["{each.verification_key_id}", "{each.verification_key_version}"]' for each in listed)
    terminal.line(f"Next, in [policy] of {folders.settings}, at once; then restart the server:")
    terminal.line(f"  gaen_signature_infos = [{names}]")


@app.command(name="list")
def list_(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> None:
    """Show the GAEN keys of the key folder: from when each signs, and whether it is still needed.

    Example: tocsin keys list
    """
    with opened(data, terminal.clock) as deployment:
        performer = deployment.performer()
        performer.catch_up()
        states = gaen_key_states(deployment.settings, deployment.keys, performer.ledger)
    if json:
        terminal.json(states)
        return
    now = terminal.clock.now()
    terminal.table(
        ("id", "version", "state"),
        [(each.verification_key_id, each.verification_key_version, _words(each, now)) for each in states],
    )


@app.command
def retire(key_id: KeyId, version: Version, /, *, data: Data = DEFAULT_DATA, terminal: InTerminal) -> None:
    """Destroy a GAEN key that signs no more and that no public file in force needs; take it out of trust.json.

    It is refused while anything needs the key. There is no way back but a backup of the key folder.

    Example: tocsin keys retire 310 v1
    """
    info = _info(key_id, version)
    with opened(data, terminal.clock) as deployment:
        performer = deployment.performer()
        performer.catch_up()
        now = deployment.held_clock.now()
        retire_key(deployment.folders, deployment.settings, deployment.keys, performer.ledger, info, now)
        terminal.line(f"{key_file(info)} is destroyed, and {deployment.folders.trust} names it no more.")


@app.command
def trust(*, data: Data = DEFAULT_DATA, terminal: InTerminal) -> None:
    """Write trust.json anew, from the settings and the key folder: after a changed address, or a restored key.

    Apps that are out keep what they were built with. Run again, it writes the same.

    Example: tocsin keys trust
    """
    with opened(data, terminal.clock) as deployment:
        write_trust(deployment.folders, deployment.settings, deployment.keys)
        terminal.line(f"{deployment.folders.trust} is written, from {deployment.folders.settings} and the key folder.")


def _info(key_id: str, version: str) -> SignatureInfo:
    if not KEY_NAME.fullmatch(key_id) or not KEY_NAME.fullmatch(version):
        raise Invalid("ID and VERSION are 1 to 32 of A-Z, a-z, 0-9 and _.")
    return SignatureInfo(key_id, version)


def _words(key: GaenKeyState, now: Instant) -> str:
    """What an operator may do with a key."""
    if key.listed:
        return f"signs from {utc(key.signs_from)} on" if key.signs_from > now else "signs"
    if key.signs_from > now:
        return f"announced to sign from {utc(key.signs_from)} on, but not in gaen_signature_infos"
    return "signs no more; needed by files in force: keep it" if key.in_force else "not needed: tocsin keys retire"
