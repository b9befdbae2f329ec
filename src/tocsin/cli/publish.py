"""`tocsin publish`: what is due, once."""

from collections.abc import Sequence

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, Today, opened
from tocsin.cli.corrections import target_words
from tocsin.cli.terminal import InTerminal, counted, size
from tocsin.model.times import day_start, utc
from tocsin.rules.quarantine import Surge
from tocsin.service.publish import Out, surge_words


def publish(*, data: Data = DEFAULT_DATA, today: Today = None, json: Json = False, terminal: InTerminal) -> None:
    """Publish once: finish what was left unfinished, then make the version that is due, if one is.

    The oldest day that is to be erased is erased after it.

    Needed only where tocsin serve does not run; beside it, it does no harm. A version can't be
    taken back, but everything in it can: tocsin revoke, tocsin rollback.

    Example: tocsin publish
    """
    out: list[Out] = []
    restored: list[str] = []
    kept_back: list[Surge] = []
    with opened(data, terminal.clock, today) as deployment:
        publisher = deployment.publisher(out.append, told_restored=restored.extend, told_surge=kept_back.append)
        newest = publisher.publish()
        erased = deployment.eraser(publisher.follower).erase(newest)
        due = publisher.ledger.versions[-1].due if newest else None
    if json:
        terminal.json(
            {"version": newest, "due": due, "out": out, "restored": restored, "kept_back": kept_back, "erased": erased}
        )
        return
    if erased is not None:
        terminal.say(f"What was reported on {utc(day_start(erased))[:10]} is erased.")
    if restored:
        terminal.warn(restored_line(restored))
    for surge in kept_back:
        terminal.warn(surge_line(surge))
    if out:
        for version in out:
            terminal.line(version_line(version))
    elif due is None:
        terminal.say("Nothing is due: the first version is made at the next step after the founding.")
    else:
        terminal.say(f"Nothing is due: version {newest:,} is out, the next one is due at {utc(due)}.")


def surge_line(surge: Surge) -> str:
    """A surge that was put into quarantine, on one line."""
    return (
        f"new keys of {target_words(surge.target)} are kept back, since {surge_words(surge)}. Ask there, then:"
        " tocsin quarantine lift, or tocsin rollback (tocsin status)."
    )


def restored_line(names: Sequence[str]) -> str:
    """Public files that were made again, on one line."""
    return (
        f"{counted(len(names), 'public file')} in force lost or damaged, {names[0]} among them: made again from the"
        " journal. Look at the bucket's disk, and who writes to it."
    )


def version_line(out: Out) -> str:
    """A version that went out, on one line: its instant, number, keys and the bytes of what is new."""
    profiles: dict[str, int] = {}
    for name, count in out.object_bytes.items():
        profile = name.split("/")[2]  # v1/<region>/<profile>/<hash>
        profiles[profile] = profiles.get(profile, 0) + count
    new = [f"{profile} {size(count)}" for profile, count in sorted(profiles.items())]
    return (
        f"{utc(out.at)}  version {out.version:,}: {counted(out.keys, 'key')} (+{out.entered:,} −{out.left:,});"
        f" {', '.join([*new, f'head {size(out.head_bytes)}'])}"
    )
