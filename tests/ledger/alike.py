"""Whether two ledgers are alike, to the last cell."""

import numpy as np

from tocsin.ledger.state import Ledger
from tocsin.model.keys import KeyKind


def state(ledger: Ledger) -> dict[str, object]:
    """All that a ledger holds, in a form that can be compared; but what it would have to take back."""
    plain = {name: value for name, value in vars(ledger).items() if name not in ("reports", "keys", "withdrawals")}
    plain |= {f"reports {name}": ledger.reports[name].tobytes() for name in ledger.reports.names}
    for kind in KeyKind:
        plain |= keys_state(ledger, kind)
    return plain


def keys_state(ledger: Ledger, kind: KeyKind) -> dict[str, object]:
    """What the table of one kind of keys holds; its index is asked for every key."""
    keys = ledger.keys[kind]
    names = {name: keys[name].tobytes() for name in keys.names}
    again = np.concatenate([keys["record"], keys["record"]], dtype=keys["record"].dtype)
    asked = keys.index.copy().first_holders(again, keys.count).tolist()
    assert asked == keys["head"].tolist(), "the index of keys and their column of heads do not agree"
    held = {"stints": {head: stints for head, stints in keys.stints.items() if stints}, "holders": keys.holders}
    return {f"{kind.name} {name}": value for name, value in {**names, **held}.items()}
