"""Who acts, why, with whose approval, and under which request: what every act of a person carries (rows A1–A4)."""

from typing import Final, TypedDict

from msgspec import Struct

from tocsin.model.claims import Claim, request_claim
from tocsin.model.errors import Invalid, Refused
from tocsin.model.names import folded

MAX_TEXT: Final = 500
"""Most characters of a name or reason."""
REQUEST_ID_BYTES: Final = 16


class Signed(TypedDict):
    """The fields that every `model.events.Act` has."""

    who: str
    why: str
    approved_by: str | None


class Attribution(Struct, frozen=True):
    """A checked attribution: made by `attribution` only. `request_id` 16 bytes, drawn once for each intended act."""

    who: str
    why: str
    approved_by: str | None
    request_id: bytes

    @property
    def signed(self) -> Signed:
        """The fields of the act's body."""
        return Signed(who=self.who, why=self.why, approved_by=self.approved_by)

    @property
    def claim(self) -> Claim:
        """What makes a repeated command do nothing twice."""
        return request_claim(self.request_id)


def attribution(who: str, why: str, request_id: bytes, approved_by: str | None = None) -> Attribution:
    """The attribution of an act, its texts without the spaces around them.

    Raises `Refused` for a text that is empty, too long or not printable, and for an approver who is the actor;
    `Invalid` for a request ID that is not 16 bytes.
    """
    if len(request_id) != REQUEST_ID_BYTES:
        raise Invalid(f"a request ID is {REQUEST_ID_BYTES} bytes")
    actor = printable(who, MAX_TEXT, "who_refused", "Say who does this")  # A1
    reason = printable(why, MAX_TEXT, "why_refused", "Give a reason")  # A2
    if approved_by is None:
        return Attribution(actor, reason, None, request_id)
    approver = printable(approved_by, MAX_TEXT, "approver_refused", "Say who else approved")  # A3
    if folded(approver) == folded(actor):  # A4
        raise Refused("approver_is_actor", "Nobody approves of their own act: name somebody else, or leave it out.")
    return Attribution(actor, reason, approver, request_id)


def printable(text: str, most: int, code: str, demand: str) -> str:
    """`text` without the spaces around it: 1 to `most` characters, each printable, or `Refused` with `code`.

    Printable is Python's word: no control, bidi, surrogate or unassigned character, and no space but the plain one.
    """
    stripped = text.strip()
    if not 1 <= len(stripped) <= most or not stripped.isprintable():
        raise Refused(code, f"{demand}, in 1 to {most} printable characters on one line.")
    return stripped
