"""What is due to be erased: a day's content, once nothing that is public rests on it any more (rows X1–X4)."""

from tocsin.ledger.erasure import objected_rows
from tocsin.ledger.state import Ledger
from tocsin.model.events import Erased
from tocsin.model.times import KEPT_DAYS, Day, Instant, day_of


def erasure(ledger: Ledger, released_at: Instant, now: Instant) -> Erased | None:
    """The event that erases the oldest day that is due, or None if none is. To be asked at the journal's very tip (X2).

    `released_at`: the instant of the newest version that is out; phones then hold nothing of the day any more.
    """
    day = next(iter(due_days(ledger, released_at, now)), None)
    if day is None:
        return None
    objected = ledger.reports["sequence"][objected_rows(ledger, day)]  # X3
    return Erased(day=day, objected=tuple(objected.tolist()))


def due_days(ledger: Ledger, released_at: Instant, now: Instant) -> list[Day]:
    """The UTC days, ascending, that are to be erased now: each once, from the founding on, reports or none (X1, X2)."""
    behind = day_of(min(released_at, now)) - KEPT_DAYS + 1
    return [Day(day) for day in range(day_of(ledger.founded_at), behind) if day not in ledger.erased_days]
