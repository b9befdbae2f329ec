"""Codes with the secrets at hand: phone codes are found by their keyed hash, whatever else is in the ledger."""

import hmac
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sites import FixedClock, Site, drawn, report
from tocsin.codes.phone import check_digit, make_phone_code, parse_phone_code, spell_phone_code
from tocsin.formats.wire import decode_answer
from tocsin.ledger.phone_codes import PhoneCodes
from tocsin.model.calls import Verdict
from tocsin.model.code_reading import CodeKind, CodeReading, Life
from tocsin.model.errors import Unavailable
from tocsin.model.policy import Policy
from tocsin.model.times import QUARTER_SECONDS, Instant, floor_quarter
from tocsin.service.codes import phone_hashes, read_code
from tocsin.service.follow import Follower
from tocsin.service.perform import Arrival
from tocsin.service.sources import Source

FIRST_BATCH = 2**18


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", FixedClock())


def read(site: Site, text: str) -> CodeReading:
    return read_code(text, site.performer.ledger, site.deployment.keys)


def test_what_was_issued_is_found(site: Site) -> None:
    site.phone_codes("before", 3)
    codes = site.phone_codes("phone", 2)
    now = site.clock.at // QUARTER_SECONDS
    readings = [read(site, code) for code in codes]
    assert [(each.kind, each.batch, each.serial, each.genuine, each.life) for each in readings] == [
        (CodeKind.PHONE, FIRST_BATCH, 3, True, Life(now, now + 5)),
        (CodeKind.PHONE, FIRST_BATCH, 4, True, Life(now, now + 5)),
    ]
    claims = {each.claim for each in readings}
    assert len(claims) == 2 and all(claim is not None and claim[0] == 4 for claim in claims)


def test_what_reads_as_a_phone_code_is_one_even_if_nobody_knows_it(site: Site) -> None:
    """Such a text is a guess. A wrong check digit is no code at all, and costs nothing."""
    digits = make_phone_code(bytes(32), bytes(16), 0, 0)
    unknown = CodeReading(CodeKind.PHONE, 0, 0, genuine=False)
    assert read(site, digits) == unknown, "none was issued yet"
    site.phone_codes("phone")
    assert read(site, digits) == unknown
    misread = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert read(site, misread).kind == CodeKind.NONE


def test_another_reader_finds_the_same(site: Site) -> None:
    """A ledger that is folded from event 1, by another process."""
    codes = site.phone_codes("phone", 5)
    follower = Follower(site.deployment.keys)
    follower.catch_up(site.deployment.journal.read)
    keys = site.deployment.keys
    assert [read_code(each, follower.ledger, keys) for each in codes] == [read(site, each) for each in codes]
    assert follower.twin().ledger.phone_codes == follower.ledger.phone_codes


def test_the_hashes_are_those_of_the_codes(site: Site) -> None:
    hash_of = phone_hashes(site.deployment.keys, 1, drawn("request", 16))
    assert hash_of(0, 0, 2) is None, "no secret of that period"
    made = hash_of(0, 0, 1)
    assert made is not None and len(made) == 16 and made != hash_of(0, 1, 1) != hash_of(1, 0, 1)


def test_without_the_secret_nothing_is_made_and_nothing_found(site: Site) -> None:
    [code] = site.phone_codes("phone")
    secret = site.deployment.folders.keys / "issuing-1"
    secret.rename(secret.with_name("elsewhere"))
    assert read(site, code) == CodeReading(CodeKind.PHONE, 0, 0, genuine=False)
    with pytest.raises(Unavailable, match="issuing-1"):
        phone_hashes(site.deployment.keys, 1, bytes(16))


def test_a_guess_and_a_code_cost_the_same_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is alive, has ended or was never issued: as many MACs, and as many look-ups."""
    ended = site.phone_codes("yesterday")
    site.clock.wait(86_400)
    alive = site.phone_codes("today")
    work: list[str] = []
    for module, name in ((hmac, "digest"), (PhoneCodes, "find")):
        monkeypatch.setattr(module, name, _noting(work, name, getattr(module, name)))

    def work_for(digits: str) -> list[str]:
        work.clear()
        read(site, digits)
        return work.copy()

    guess = make_phone_code(bytes(32), bytes(16), 0, 0)
    assert work_for(alive[0]) == work_for(ended[0]) == work_for(guess) != []


def _noting(work: list[str], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*given: Any) -> Any:
        work.append(name)
        return call(*given)

    return noted


def test_no_code_is_like_another_in_sight(site: Site) -> None:
    codes = site.phone_codes("a", 100) + site.phone_codes("b", 100)
    assert len(set(codes)) == 200
    assert all(parse_phone_code(spell_phone_code(code)) == code for code in codes)


# --- in the group, where calls are answered ---


def test_a_repeated_call_is_the_same_one_after_its_code_was_forgotten(site: Site) -> None:
    """Its receipt is told until it is erased, as for a card (row C7); else a phone would think that it was refused."""
    [code] = site.phone_codes("phone")
    call = report("patient", code, 3, site.clock.at)
    assert site.answer(call.body).verdict is Verdict.TAKEN
    for day in range(5):
        site.clock.wait(86_400)
        site.phone_codes(f"day {day}")
    assert read(site, code).genuine is False
    assert site.answer(call.body).verdict is Verdict.TAKEN


@pytest.mark.parametrize(("quarters", "verdict"), [(-1, Verdict.TAKEN), (0, Verdict.CODE_EXPIRED)])
def test_what_was_received_in_time_is_taken_however_late_it_is_appended(
    site: Site, quarters: int, verdict: Verdict
) -> None:
    """Case 26: the journal was away; the life is judged by the quarter-hour of receipt."""
    [code] = site.phone_codes("phone")
    end = floor_quarter(site.clock.at) + 5 * QUARTER_SECONDS
    call = report("patient", code, 3, site.clock.at)
    site.clock.wait(20 * QUARTER_SECONDS)
    received_at = Instant(end + quarters * QUARTER_SECONDS)
    [answer] = site.performer.answer([Arrival(call.body, received_at)])
    assert decode_answer(answer).verdict is verdict


def test_guessing_is_hopeless(tmp_path: Path) -> None:
    """Threats T-C2: 2,000 codes alive, 100 guesses a second for a minute, from 50 addresses, check digits right."""
    site = Site(tmp_path / "country", FixedClock(), Policy(person_daily_phone_codes="none"))
    for name in ("a", "b"):
        site.phone_codes(name, 1_000)
    alive = site.performer.ledger.phone_codes.alive(site.clock.at)
    assert alive == 2_000 and 10**11 // alive >= 5 * 10**7
    assert 6_000 * alive / 10**11 < 1e-3, "expected hits, if each guess were looked at"
    sources = [Source(drawn(f"address {number}", 16), drawn(f"net {number}", 16)) for number in range(50)]
    chance = random.Random(2)
    heard: Counter[Verdict] = Counter()
    for _ in range(60):
        site.clock.wait(1)
        arrivals = []
        for source in sources * 2:
            digits = f"{chance.randrange(10**11):011}"
            call = report(digits, digits + check_digit(digits), 1, site.clock.at)
            arrivals.append(Arrival(call.body, floor_quarter(site.clock.at), source))
        heard.update(decode_answer(answer).verdict for answer in site.performer.answer(arrivals))
    assert heard.keys() == {Verdict.CODE_UNKNOWN, Verdict.OVER_ALLOWANCE} and heard.total() == 6_000
    assert heard[Verdict.CODE_UNKNOWN] <= 50 * (20 + 6), "what each address is allowed"
