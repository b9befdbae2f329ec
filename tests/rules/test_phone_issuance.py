"""Phone codes as they are issued: rows I3–I9, I13–I15 and I19 of docs/rules.md."""

import pytest
from msgspec.structs import replace

from tests.builders import NOON, Story, hashes_of
from tocsin.model.calls import Verdict
from tocsin.model.claims import batch_claim
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import Draft, PhoneCodesIssued, Target
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant, floor_quarter
from tocsin.rules import suspension
from tocsin.rules.code_checks import Origin, origin_of
from tocsin.rules.phone_issuance import MAX_SERIALS, HashOf, PhoneCodesRequest, issue_phone_codes
from tocsin.rules.quotas import QuotaUse, phone_code_quotas

NOW = NOON // QUARTER_SECONDS
FIRST_BATCH = 2**18


def _draft(story: Story, hash_of: HashOf | None = None, **wishes: int) -> Draft:
    return _decided(story, hash_of, wishes)


def _decided(story: Story, hash_of: HashOf | None, wishes: dict[str, int]) -> Draft:
    request = PhoneCodesRequest(**{"provider": 1, "count": 1, "issuing_period": 1, **wishes})
    by = story.by()
    return issue_phone_codes(story.ledger, request, hash_of or hashes_of(by.request_id), story.policy, story.now, by)


def _refusal(story: Story, **wishes: int) -> str:
    """The code of the refusal, or ``issued``."""
    try:
        _decided(story, None, wishes)
    except Refused as refused:
        return refused.code
    return "issued"


@pytest.fixture
def story() -> Story:
    told = Story()
    told.provider()
    return told


def test_a_code_is_of_use_at_once(story: Story) -> None:
    issued = story.phone_codes(count=3, report_type=2)
    assert (issued.batch, issued.provider, issued.issuing_period, issued.first_serial) == (FIRST_BATCH, 1, 1, 0)
    assert (len(issued.attempts), len(set(issued.hashes))) == (3, 3)
    code = story.phone(issued, 2)
    origin = origin_of(story.ledger, code, floor_quarter(story.now))
    assert isinstance(origin, Origin)
    assert (origin.report_type, origin.batch, origin.serial, origin.provider) == (2, FIRST_BATCH, 2, 1)
    assert origin.claim == code.claim


def test_who_may_be_given_codes(story: Story) -> None:  # I3, I4, I13
    assert _refusal(story, provider=2) == "provider_unknown"
    story.append(suspension.suspend_provider(story.ledger, 1, story.by()))
    assert _refusal(story) == "provider_suspended"
    story.append(suspension.restore_provider(story.ledger, 1, story.by()))
    story.revoke(Target(provider=1))
    assert _refusal(story) == "provider_cut_off"


@pytest.mark.parametrize(("count", "answer"), [(0, "batch_size_refused"), (1, "issued"), (1_001, "batch_size_refused")])
def test_how_many(story: Story, count: int, answer: str) -> None:  # I5
    assert _refusal(story, count=count) == answer


def test_a_thousand(story: Story) -> None:  # I5
    assert len(set(story.phone_codes(count=1_000).hashes)) == 1_000


@pytest.mark.parametrize(("report_type", "answer"), [(1, "issued"), (2, "issued"), (4, "report_type_refused")])
def test_what_they_stand_for(story: Story, report_type: int, answer: str) -> None:  # I7
    assert _refusal(story, report_type=report_type) == answer


# --- life ---


@pytest.mark.parametrize("seconds", [0, 1, QUARTER_SECONDS - 1])
def test_the_life_that_is_stated_is_never_cut_short(story: Story, seconds: int) -> None:  # I8
    story.wait(seconds)
    assert (story.phone_codes().valid_from, story.phone_codes().valid_until) == (NOW, NOW + 5)
    assert story.phone_codes(life_quarters=1).valid_until * QUARTER_SECONDS >= story.now + QUARTER_SECONDS


@pytest.mark.parametrize(
    ("quarters", "answer"),
    [(0, "batch_life_refused"), (1, "issued"), (16, "issued"), (17, "batch_life_refused")],
)
def test_how_long_they_may_live(story: Story, quarters: int, answer: str) -> None:  # I8
    assert _refusal(story, life_quarters=quarters) == answer


@pytest.mark.parametrize(("quarters", "verdict"), [(-1, None), (0, "code_expired"), (1, "code_expired")])
@pytest.mark.parametrize("seconds", [0, 1, QUARTER_SECONDS - 1])
def test_the_end_of_a_codes_own_life(story: Story, quarters: int, verdict: str | None, seconds: int) -> None:  # D8
    """Case 26: others of its batch live longer; that is not its own life. And the end is not included."""
    short = story.phone_codes(life_quarters=1)
    story.phone_codes(life_quarters=16)
    story.wait((2 + quarters) * QUARTER_SECONDS + seconds)
    judged = origin_of(story.ledger, story.phone(short), floor_quarter(story.now))
    assert (judged if isinstance(judged, Verdict) else None) == verdict


@pytest.mark.parametrize(("quarters", "verdict"), [(-1, None), (0, "code_expired")])
@pytest.mark.parametrize("days", [0, 1, 3])
def test_received_in_time_and_appended_late(story: Story, quarters: int, verdict: str | None, days: int) -> None:  # D8
    """Case 26, while the journal is away: the quarter-hour of receipt decides, for days."""
    issued = story.phone_codes()
    story.wait(days * DAY_SECONDS + 6 * QUARTER_SECONDS)
    story.phone_codes()
    judged = origin_of(story.ledger, story.phone(issued), Instant((NOW + 5 + quarters) * QUARTER_SECONDS))
    assert (judged if isinstance(judged, Verdict) else None) == verdict


def test_received_before_it_was_issued(story: Story) -> None:  # D5
    issued = story.phone_codes()
    judged = origin_of(story.ledger, story.phone(issued), Instant(NOON - QUARTER_SECONDS))
    assert judged is Verdict.CODE_UNKNOWN


@pytest.mark.parametrize(("days", "verdict"), [(3, "code_expired"), (4, "code_unknown")])
def test_what_ended_days_ago_is_forgotten_with_the_next_issue(story: Story, days: int, verdict: str) -> None:  # D2
    issued = story.phone_codes()
    story.wait(days * DAY_SECONDS)
    assert origin_of(story.ledger, story.phone(issued), floor_quarter(story.now)) is Verdict.CODE_EXPIRED
    story.phone_codes()
    assert origin_of(story.ledger, story.phone(issued), floor_quarter(story.now)) == verdict


# --- batches ---


def test_a_batch_is_a_providers_day(story: Story) -> None:  # I9
    story.provider()
    issued = [
        story.phone_codes(count=2),
        story.phone_codes(),
        story.phone_codes(provider=2),
        story.phone_codes(report_type=2),
        story.phone_codes(issuing_period=2),
        story.phone_codes(life_quarters=16),
    ]
    places = [(each.batch - FIRST_BATCH, each.first_serial) for each in issued]
    assert places == [(0, 0), (0, 2), (1, 0), (2, 0), (3, 0), (0, 3)]
    batch = story.ledger.batches[FIRST_BATCH]
    assert (batch.count, batch.life.valid_from, batch.life.valid_until) == (4, NOW, NOW + 17)
    story.wait(12 * 3600 - 1)
    assert story.phone_codes().batch == FIRST_BATCH
    story.wait(1)
    assert story.phone_codes().batch == FIRST_BATCH + 4, "midnight"


def test_the_batch_number_is_claimed_by_its_first_codes(story: Story) -> None:  # I9
    draft = _draft(story)
    assert batch_claim(FIRST_BATCH) in draft.claims
    story.append(draft)
    assert len(_draft(story).claims) == 1


@pytest.mark.parametrize(("room", "opened"), [(1, False), (0, True)])
def test_serials_have_sixteen_bits(story: Story, room: int, opened: bool) -> None:  # I9
    story.policy = Policy(person_daily_phone_codes="none", provider_daily_phone_codes="none")
    first = _body(_draft(story))
    story.append(Draft(first))
    left = MAX_SERIALS - room - 1
    hashes = tuple(first.hashes[:1]) * left
    story.append(Draft(replace(first, first_serial=1, attempts=(0,) * left, hashes=hashes)))
    issued = story.phone_codes()
    assert (issued.batch, issued.first_serial) == ((FIRST_BATCH + 1, 0) if opened else (FIRST_BATCH, MAX_SERIALS - 1))


@pytest.mark.parametrize(("last", "answer"), [(2**32 - 2, "issued"), (2**32 - 1, "batch_numbers_spent")])
def test_the_last_batch_number(story: Story, last: int, answer: str) -> None:  # I9
    story.append(Draft(replace(_body(_draft(story, report_type=2)), batch=last)))
    assert _refusal(story) == answer


def test_no_code_joins_a_batch_that_is_cut_off(story: Story) -> None:  # I9
    """It would be of no use, and nobody on the telephone would know."""
    first = story.phone_codes()
    objection = story.revoke(Target(batch=FIRST_BATCH))
    second = story.phone_codes()
    assert second.batch == FIRST_BATCH + 1
    judged = [origin_of(story.ledger, story.phone(each), floor_quarter(story.now)) for each in (first, second)]
    assert judged[0] is Verdict.CODE_CUT_OFF and isinstance(judged[1], Origin)
    story.reinstate(objection)
    assert story.phone_codes().batch == FIRST_BATCH + 1


@pytest.mark.parametrize(
    ("target", "cut_off"),
    [
        (Target(provider=1), [True, True, True]),
        (Target(batch=FIRST_BATCH), [True, True, True]),
        (Target(batch=FIRST_BATCH, first=1, last=1), [False, True, False]),
    ],
)
def test_codes_are_cut_off_like_cards(story: Story, target: Target, cut_off: list[bool]) -> None:  # D7
    issued = story.phone_codes(count=3)
    objection = story.revoke(target)
    codes = [story.phone(issued, place) for place in range(3)]
    assert [origin_of(story.ledger, code, NOON) is Verdict.CODE_CUT_OFF for code in codes] == cut_off
    story.reinstate(objection)
    assert all(isinstance(origin_of(story.ledger, code, NOON), Origin) for code in codes)


# --- no two alike ---


def test_no_two_codes_that_are_remembered_are_alike(story: Story) -> None:  # I19
    """Case 27: 1 % of a space of 10,000 codes, and far more of it: what is drawn twice is drawn again."""
    story.policy = Policy(person_daily_phone_codes="none")
    hashes: list[str] = []
    for _ in range(30):
        draft = _draft(story, hash_of=hashes_of(story.by().request_id, codes=10_000), count=100)
        story.append(draft)
        hashes += _body(draft).hashes
    assert len(set(hashes)) == len(hashes) == 3_000
    assert any(
        attempt for event in story.events if isinstance(event.body, PhoneCodesIssued) for attempt in event.body.attempts
    )


def test_a_space_that_is_full_says_so(story: Story) -> None:  # I19
    """Case 27: after 255 attempts at one code. Codes of the same act count."""
    with pytest.raises(Refused) as refused:
        _draft(story, hash_of=hashes_of(story.by().request_id, codes=10), count=11)
    assert refused.value.code == "phone_codes_full"
    assert len(_body(_draft(story, hash_of=hashes_of(story.by().request_id, codes=10), count=10)).hashes) == 10


def test_a_code_that_has_ended_is_not_given_to_somebody_else_while_it_is_remembered(story: Story) -> None:  # I19
    hash_of = hashes_of(bytes(16))
    first = _body(_draft(story, hash_of=hash_of))
    story.append(Draft(first))
    story.wait(3 * DAY_SECONDS)
    assert _body(_draft(story, hash_of=hash_of)).attempts == (1,)
    story.wait(DAY_SECONDS)
    story.phone_codes(report_type=2)
    assert _body(_draft(story, hash_of=hash_of)).attempts == (0,)


def test_a_live_code_of_another_issuing_period_is_not_given_again(story: Story) -> None:  # I19
    hash_of = hashes_of(bytes(16))
    story.append(_draft(story, hash_of=hash_of))
    assert _body(_draft(story, hash_of=hash_of, issuing_period=2)).attempts == (1,)


def test_a_period_whose_secret_is_gone_is_passed_over_and_its_own_is_not(story: Story) -> None:
    story.append(_draft(story))

    def without(gone: int) -> HashOf:
        return lambda place, attempt, period: None if period == gone else hashes_of(bytes(16))(place, attempt, period)

    assert _body(_draft(story, hash_of=without(1), issuing_period=2)).attempts == (0,)
    with pytest.raises(Unavailable):
        _draft(story, hash_of=without(2), issuing_period=2)


# --- quotas ---


@pytest.mark.parametrize(("count", "answer"), [(40, "issued"), (41, "person_quota_spent")])
def test_what_a_person_may_issue_in_a_day(count: int, answer: str) -> None:  # I14
    """Threats T-C6. Cards have a quota of their own."""
    story = Story(Policy(person_daily_phone_codes=100, person_daily_cards=50))
    story.batch(count=50)
    story.phone_codes(count=60)
    assert _refusal(story, count=count) == answer
    story.wait(12 * 3600)
    assert _refusal(story, count=100) == "issued"


@pytest.mark.parametrize(("count", "answer"), [(40, "issued"), (41, "provider_quota_spent")])
def test_what_a_provider_is_given_in_a_day(count: int, answer: str) -> None:  # I15
    story = Story(Policy(provider_daily_phone_codes=100))
    story.phone_codes(count=60)
    assert _refusal(story, count=count) == answer


def test_what_is_used_of_today(story: Story) -> None:
    story.phone_codes(count=60)
    uses = phone_code_quotas(story.ledger, story.policy, story.now).uses("ADA", 1)
    assert uses == [QuotaUse("person", 1_000, 60), QuotaUse("provider", 5_000, 60)]


def _body(draft: Draft) -> PhoneCodesIssued:
    assert isinstance(draft.body, PhoneCodesIssued)
    return draft.body
