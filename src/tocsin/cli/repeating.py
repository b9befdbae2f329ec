"""A repeated command: whether the act that a request ID stands for in the journal is the very one that is asked for.

An event does not hold the words of the command, but a rule is a function of the ledger, the request and the moment: the
rule is asked again, about the ledger as it stood right before the event, and must give that event (decision 0017).
"""

import msgspec
from msgspec import Struct

from tocsin.journal.content import Opener
from tocsin.journal.port import event_with
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.events import Body, Event
from tocsin.model.times import QUARTER_SECONDS, Instant
from tocsin.rules.attribution import Attribution
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower
from tocsin.service.perform import Rule


class Acted(Struct, frozen=True, eq=False):
    """An act that is in the journal, and the ledger right behind it. `repeated`: it was there before.

    `request_id`: the 16 bytes of which the journal has only the hash.
    """

    event: Event
    ledger: Ledger
    request_id: bytes
    repeated: bool


def done_before(deployment: Deployment, rule: Rule, by: Attribution) -> Acted | None:
    """This very act, if it is in the journal under this request ID; None if the ID is not used.

    Raises `Refused` if it was used for another act. Cost: the ledger up to that event.
    """
    stored = event_with(deployment.journal, by.claim)
    if stored is None:
        return None
    recorded = Opener(deployment.keys).event(stored)
    follower = _follower_before(deployment, stored.sequence)
    difference = _difference(recorded.body, _decided_then(rule, follower.ledger, recorded))
    if difference is not None:
        raise Refused(
            "request_id_used",
            f"This request ID was used for another act, event {stored.sequence} ({recorded.body.kind}), and nothing was"
            f" done now: {difference}. Draw an ID anew for each act.",
        )
    follower.fold([recorded])
    return Acted(recorded, follower.ledger, by.request_id, repeated=True)


def _follower_before(deployment: Deployment, sequence: int) -> Follower:
    """What has come as far as right before the event with this sequence."""
    before = Follower(deployment.keys)
    for event in before.follow(deployment.journal.read):
        if event.sequence == sequence - 1:
            break
    before.refuse_lost_keys(deployment.clock.now())
    return before


def _decided_then(rule: Rule, before: Ledger, recorded: Event) -> Body | None:
    """What the rule says about the ledger right before `recorded`, at the end of its quarter-hour; None: it says no."""
    try:
        return rule(before, Instant(recorded.recorded_at + QUARTER_SECONDS - 1)).body
    except Refused:
        return None


def _difference(recorded: Body, decided: Body | None) -> str | None:
    """What tells the two apart, without a value of either; None if nothing does."""
    if decided is None:
        return "this command would have been refused then"
    if type(decided) is not type(recorded):
        return f"this command is for a `{decided.kind}`"
    then, now = msgspec.to_builtins(recorded), msgspec.to_builtins(decided)
    fields = [name for name in now if now[name] != then[name]]
    if not fields:
        return None
    return f"this command, or the settings since, differ in {', '.join(fields)}"
