"""What a call is expected to be asked for is all that it is asked for, so that a group looks its claims up at once."""

from pathlib import Path

import pytest

from tests.sites import MORNING, FixedClock, Site, drawn, report
from tocsin.client.calls import continue_call, decoy_call, track_call, withdraw_call
from tocsin.journal.sqlite import SqliteGroup
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.claims import Claim
from tocsin.model.times import INTERVALS_PER_DAY, day_of, floor_quarter
from tocsin.service.perform import Arrival


def test_no_claim_is_looked_up_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path / "site", FixedClock())
    expected: set[Claim] = set()
    alone: list[Claim] = []
    claimed = SqliteGroup.claimed
    monkeypatch.setattr(SqliteGroup, "expect", lambda group, claims: expected.update(claims))

    def counted(group: SqliteGroup, claim: Claim) -> int | None:
        if claim not in expected:
            alone.append(claim)
        return claimed(group, claim)

    monkeypatch.setattr(SqliteGroup, "claimed", counted)
    key = SentKey(drawn("later", 16), (day_of(MORNING) - 4) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)
    more = continue_call(
        [key],
        code=None,
        onset_day=None,
        continuation_secret=drawn("a c"),
        next_continuation_secret=drawn("a c2"),
    ).body
    first, spent = (report(name, site.cards[0], 3, MORNING).body for name in ("a", "b"))
    withdrawn = withdraw_call(drawn("a w"))
    for bodies in ([first, spent, decoy_call(), bytes(4096)], [more, more, first], [track_call(drawn("a w"))]):
        site.performer.answer([Arrival(body, floor_quarter(MORNING)) for body in bodies])
    assert site.answer(withdrawn).verdict is Verdict.WITHDRAWN
    assert expected and not alone
    site.deployment.close()
