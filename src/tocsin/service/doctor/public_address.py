"""The public address: whether it hands out this deployment's newest head, and what its clock says.

It is the one clock that needs no setting and is rarely this machine's own: that of whatever stands before the server.
"""

from collections.abc import Iterator
from typing import Final

from tocsin.formats.leaf import HEAD_NAME, parse_head_text
from tocsin.model.errors import Invalid, TocsinError, Unavailable
from tocsin.model.times import utc
from tocsin.publication.release import Released, released
from tocsin.service.deployment import head_verifier
from tocsin.service.doctor.bucket import LATE_STEPS
from tocsin.service.doctor.clock import MOST_APART_SECONDS
from tocsin.service.doctor.finding import Code, Finding
from tocsin.service.doctor.subject import Seen, Subject
from tocsin.service.doctor.writers import foreign
from tocsin.transparency.note import NoteVerifier, verify_note

_OK: Final = 200


def look(subject: Subject) -> Iterator[Finding]:
    """An address that does not answer, hands out another head, or whose clock contradicts this machine's."""
    address = f"{subject.settings.base_url.rstrip('/')}/{HEAD_NAME}"
    try:
        seen = subject.look(address)
    except Unavailable:
        yield Finding(
            Code.PUBLIC_ADDRESS_SILENT,
            f"{address} does not answer this machine: see that proxy, name and certificate are right, unless this"
            " machine is meant not to reach it. Its clock, and what phones are handed, were not compared.",
        )
        return
    now = subject.clock.now()
    if seen.clock_at is not None and abs(now - seen.clock_at) > MOST_APART_SECONDS:
        yield Finding(
            Code.CLOCK_WRONG,
            f"This machine's clock says {utc(now)}, and that of {address} {utc(seen.clock_at)}: one of them is wrong."
            " Look at a third one, and set the wrong one right before anything is recorded by it.",
        )
    yield from _head(subject, seen, address)


def _head(subject: Subject, seen: Seen, address: str) -> Iterator[Finding]:
    verifier = head_verifier(subject.settings, subject.keys)
    try:
        here = released(subject.bucket, verifier)
    except TocsinError:
        return  # of that the check of the bucket tells
    try:
        public = _parsed(seen, verifier)
    except Invalid:
        yield Finding(
            Code.PUBLIC_HEAD_OLD,
            f"{address} hands out something that is no head of this deployment: see what the proxy or CDN there"
            " serves.",
        )
        return
    if public.version > here.version:
        yield from foreign(public, subject.journal, address)
    elif here.leaf is not None:
        age = here.leaf.at - (public.leaf.at if public.leaf is not None else 0)
        if age > LATE_STEPS * subject.settings.policy.step_seconds:
            old = f"version {public.version}" if public.version else "no head"
            yield Finding(
                Code.PUBLIC_HEAD_OLD,
                f"{address} hands out {old}, and the bucket is at version {here.version}: a CDN or mirror keeps old"
                " files, or serves another folder. The head must not be kept for more than some minutes.",
            )


def _parsed(seen: Seen, verifier: NoteVerifier) -> Released:
    if seen.status != _OK:
        return Released(None, None)
    return Released(seen.body, parse_head_text(verify_note(seen.body, [verifier]), verifier.name))
