"""A report on trust, made likely, confirmed, continued and taken back: from the call to the files that phones read."""

from pathlib import Path

import pytest

from tests.sites import PROMPT, FixedClock, Site, by, drawn, report
from tocsin.client.calls import continue_call
from tocsin.codes.card import batch_key, make_card
from tocsin.formats.gaen.reader import Export, decode_export, read_zip
from tocsin.model.calls import Answer, SentKey, Verdict
from tocsin.model.code_reading import CodeKind
from tocsin.model.keys import ReportType
from tocsin.model.policy import Policy
from tocsin.model.times import INTERVALS_PER_DAY, QUARTER_SECONDS, day_of
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch

ON_TRUST = Policy(minimum_reports=1, hold_back_quarters=0, self_reports=True, gaen_step_seconds=QUARTER_SECONDS)


class Life:
    """Ada's phone, which reports without a code, and what becomes public of it."""

    def __init__(self, top: Path, policy: Policy = ON_TRUST) -> None:
        self.site = Site(top, FixedClock(), policy)
        self.publisher = self.site.deployment.publisher()
        self.links = 0
        self.answer = self.site.answer(report("ada", None, 3, self.site.clock.now()).body)

    def card(self, batch: int, report_type: ReportType) -> str:
        """A card of a new batch."""
        act, policy = self.site.performer.act, self.site.deployment.settings.policy
        request = BatchRequest(provider=1, count=1, issuing_period=1, report_type=report_type)
        act(lambda ledger, now: issue_batch(ledger, request, policy, now, by(f"issue {batch}")))
        act(lambda ledger, now: activate_batch(ledger, batch, now, by(f"activate {batch}")))
        secret = self.site.deployment.keys.issuing_secret(1)
        assert secret is not None
        return make_card(batch_key(secret, CodeKind.CARD, batch), CodeKind.CARD, batch, 0)

    def go_on(self, *days_ago: int, code: str | None = None) -> Answer:
        """What the phone is answered to more of its report."""
        today = day_of(self.site.clock.now())
        keys = [SentKey(drawn(f"ada, {ago}", 16), (today - ago) * INTERVALS_PER_DAY, 144) for ago in days_ago]
        names = ("ada c", *(f"ada c {link}" for link in range(1, self.links + 2)))
        more = continue_call(
            keys,
            code=code,
            onset_day=None,
            continuation_secret=drawn(names[self.links]),
            next_continuation_secret=drawn(names[self.links + 1]),
        )
        self.links += 1
        return self.site.answer(more.body)

    def newest_export(self) -> Export:
        """The GAEN file that is new with the next version."""
        self.site.clock.wait(QUARTER_SECONDS)
        assert self.publisher.publish()
        bucket = self.site.top / "bucket"
        [last] = (bucket / "v1/utopia/gaen/index.txt").read_text().splitlines()[-1:]
        return decode_export(read_zip((bucket / last).read_bytes())[0])


def test_from_on_trust_to_confirmed_and_back(tmp_path: Path) -> None:
    """Keys change their type in the files of GAEN, and leave with the person's word."""
    life = Life(tmp_path / "site")
    assert life.answer.verdict is Verdict.TAKEN
    first = life.newest_export()
    assert first.keys["report_type"].tolist() == [ReportType.SELF_REPORTED] * 3
    assert life.go_on(code=life.card(2, ReportType.LIKELY)).verdict is Verdict.TAKEN
    likely = life.newest_export()
    assert (len(likely.keys), likely.revised_keys["report_type"].tolist()) == (0, [ReportType.LIKELY] * 3)
    assert life.go_on(5, code=life.card(3, ReportType.CONFIRMED)).verdict is Verdict.TAKEN
    confirmed = life.newest_export()
    assert confirmed.keys["report_type"].tolist() == [ReportType.CONFIRMED]
    assert confirmed.revised_keys["report_type"].tolist() == [ReportType.CONFIRMED] * 3
    negative = life.card(4, ReportType.REVOKED)
    assert life.go_on(code=negative).verdict is Verdict.REPORT_REFUSED, "nothing leads away from confirmed"
    assert life.site.withdraw("ada") is Verdict.WITHDRAWN
    assert life.newest_export().revised_keys["report_type"].tolist() == [ReportType.REVOKED] * 4


def test_a_negative_test_takes_back(tmp_path: Path) -> None:
    life = Life(tmp_path / "site")
    life.newest_export()
    assert life.go_on(code=life.card(2, ReportType.REVOKED)).verdict is Verdict.TAKEN
    assert life.newest_export().revised_keys["report_type"].tolist() == [ReportType.REVOKED] * 3
    assert life.site.track("ada") is life.site.withdraw("ada") is Verdict.WITHDRAWN


def test_nobody_is_taken_on_trust_unless_the_policy_says_so(tmp_path: Path) -> None:  # C4
    assert Life(tmp_path / "site", PROMPT).answer.verdict is Verdict.UNSUPPORTED


@pytest.mark.parametrize("away", [False, True], ids=["by the one who read it", "read anew"])
def test_a_journal_with_continuations_builds_the_same(tmp_path: Path, away: bool) -> None:
    life = Life(tmp_path / "site")
    life.go_on(5, code=life.card(2, ReportType.LIKELY))
    if away:
        life.publisher = life.site.deployment.publisher()
    export = life.newest_export()
    assert export.keys["report_type"].tolist() == [ReportType.LIKELY] * 4
    fresh = life.site.deployment.performer()
    fresh.catch_up()
    life.site.performer.catch_up()
    for name in fresh.ledger.reports.names:
        assert fresh.ledger.reports[name].tobytes() == life.site.performer.ledger.reports[name].tobytes()
