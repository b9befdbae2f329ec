"""What is to be said of a code: its spelling, and of what use it is now. Never whether it was used."""

from msgspec import Struct

from tocsin.codes.hint import hint
from tocsin.ledger.predicates import BatchState, batch_state
from tocsin.ledger.state import Batch, Ledger
from tocsin.model.code_reading import CodeKind, CodeReading
from tocsin.model.times import QUARTER_SECONDS, Instant, utc


class Finding(Struct, frozen=True):
    """What is to be said of a code. `batch` and `serial` only where the code is genuine."""

    spelling: str
    state: str
    sentence: str
    batch: int | None = None
    serial: int | None = None


def find_spelling(code: str) -> Finding:
    """What the letters alone tell."""
    wrong = hint(code)
    if wrong is not None:
        return Finding("wrong", "misspelt", wrong.sentence)
    return Finding("good", "unchecked", "It is well spelt. Whether it is genuine was not checked.")


def find_state(ledger: Ledger, reading: CodeReading, now: Instant) -> Finding:
    """Of what use a well spelt code is now."""
    batch = ledger.batches.get(reading.batch)
    if batch is None or batch.code_kind != reading.kind or reading.serial >= batch.count or reading.genuine is False:
        sentence = "It is well spelt, but no code of this deployment."
        if reading.kind == CodeKind.PHONE:
            sentence = "It is well spelt, but no phone code that is remembered: wrong, or it ended days ago."
        return Finding("good", "unknown", sentence)
    if reading.genuine is None:
        return Finding("good", "expired", "The secret of its time is destroyed: it can't be checked, nor used.")
    state, sentence = _use(ledger, batch, reading, now)
    return Finding(
        "good", state, f"Batch {batch.batch}, serial {reading.serial}: {sentence}", batch.batch, reading.serial
    )


def _use(ledger: Ledger, batch: Batch, reading: CodeReading, now: Instant) -> tuple[str, str]:
    if batch.code_kind == CodeKind.TRAINING:
        return "training", "a code for practice, which no server takes."
    life = reading.life or batch.life
    state = batch_state(ledger, batch, now, reading.serial, life)
    match state:
        case BatchState.CUT_OFF:
            others = "phone" if batch.code_kind == CodeKind.PHONE else "issue"
            return state, f"cut off. The provider gets others by `tocsin codes {others} {batch.provider}`."
        case BatchState.EXPIRED:
            return state, f"expired since {utc(life.valid_until * QUARTER_SECONDS)}."
        case BatchState.DORMANT:
            return state, f"genuine, but its batch is dormant until `tocsin codes activate {batch.batch}`."
        case BatchState.NOT_YET:
            return state, f"not valid before {utc(life.valid_from * QUARTER_SECONDS)}."
        case BatchState.ACTIVE:
            return "works", f"genuine, and valid until {utc(life.valid_until * QUARTER_SECONDS)}. Use is not told."
