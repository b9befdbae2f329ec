"""Codes with the secrets at hand: phone codes are found by their keyed hash, whatever else is in the ledger."""

from pathlib import Path

import pytest

from tests.sites import FixedClock, Site, drawn
from tocsin.codes.phone import PhoneDigits, make_phone_code, parse_phone_code, spell_phone_code
from tocsin.model.code_reading import CodeKind, CodeReading, Life
from tocsin.model.errors import Unavailable
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.codes import phone_hashes, read_code
from tocsin.service.follow import Follower

FIRST_BATCH = 2**18


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", FixedClock())


def issue(site: Site, name: str, count: int = 1) -> list[PhoneDigits]:
    """The codes of an act, of provider 1, whose request ID is that of `name`."""
    return site.phone_codes(name, count)


def read(site: Site, text: str) -> CodeReading:
    return read_code(text, site.performer.ledger, site.deployment.keys)


def test_what_was_issued_is_found(site: Site) -> None:
    issue(site, "before", 3)
    codes = issue(site, "phone", 2)
    now = site.clock.at // QUARTER_SECONDS
    readings = [read(site, spell_phone_code(digits)) for digits in codes]
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
    issue(site, "phone")
    assert read(site, digits) == unknown
    misread = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert read(site, misread).kind == CodeKind.NONE


def test_another_reader_finds_the_same(site: Site) -> None:
    """A ledger that is folded from event 1, by another process."""
    codes = issue(site, "phone", 5)
    follower = Follower(site.deployment.keys)
    follower.catch_up(site.deployment.journal.read)
    keys = site.deployment.keys
    assert [read_code(each, follower.ledger, keys) for each in codes] == [read(site, each) for each in codes]
    assert follower.copy().ledger.phone_codes == follower.ledger.phone_codes


def test_the_hashes_are_those_of_the_codes(site: Site) -> None:
    hash_of = phone_hashes(site.deployment.keys, 1, drawn("request", 16))
    assert hash_of(0, 0, 2) is None, "no secret of that period"
    made = hash_of(0, 0, 1)
    assert made is not None and len(made) == 16 and made != hash_of(0, 1, 1) != hash_of(1, 0, 1)


def test_without_the_secret_nothing_is_made_and_nothing_found(site: Site) -> None:
    [digits] = issue(site, "phone")
    secret = site.deployment.folders.keys / "issuing-1"
    secret.rename(secret.with_name("elsewhere"))
    assert read(site, digits) == CodeReading(CodeKind.PHONE, 0, 0, genuine=False)
    with pytest.raises(Unavailable, match="issuing-1"):
        phone_hashes(site.deployment.keys, 1, bytes(16))


def test_no_code_is_like_another_in_sight(site: Site) -> None:
    codes = issue(site, "a", 100) + issue(site, "b", 100)
    assert len(set(codes)) == 200
    assert all(parse_phone_code(spell_phone_code(digits)) == digits for digits in codes)
