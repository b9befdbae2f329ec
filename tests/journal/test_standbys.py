"""Which standby may be promoted, as decided from what each says. With real servers: `tests/faults/test_standbys.py`."""

import pytest
from msgspec.structs import replace

from tocsin.journal.standbys import Standby, furthest, needed
from tocsin.model.errors import Refused

ALL = "ANY 1 (s1, s2, s3)"


def standby(number: int, received: int = 100, timeline: int = 1, quorum: str = ALL) -> Standby:
    return Standby(f"h{number}:5432", str(number), 7, True, False, timeline, received, received, quorum, 5, b"digest")


@pytest.mark.parametrize("order", [1, -1])
def test_the_one_that_has_more_is_promoted(order: int) -> None:
    assert furthest([standby(2, 100), standby(3, 101)][::order]).place == "h3:5432"


def test_who_missed_a_promotion_has_less_however_long_its_log() -> None:
    assert furthest([standby(2, 900, timeline=1), standby(3, 100, timeline=2)]).place == "h3:5432"


@pytest.mark.parametrize(
    ("quorums", "enough"),
    [
        ((ALL, ALL), 2),  # the same on all
        (("ANY 1 (s1,s3)", "ANY 1 (s1,s2)"), 2),  # each its others
        (('any 1 ("s1", "S3")', "any 1 (s1,s2)"), 2),
        (("ANY 1 (s1,s3)",), 2),
        (("ANY 2 (s1,s3)",), 1),  # each acknowledged event is on both
        (("ANY 1 (s1,s2,s3,s4,s5)",) * 3, 4),
        (("ANY 2 (s1,s2,s3,s4,s5)",) * 3, 3),
        (("ANY 2 (s1,s2,s3)", "ANY 1 (s1,s2,s3)"), 2),  # the weaker one counts
    ],
)
def test_so_many_must_be_seen_that_one_has_each_acknowledged_event(quorums: tuple[str, ...], enough: int) -> None:
    assert needed([standby(number, quorum=quorum) for number, quorum in enumerate(quorums)]) == enough


@pytest.mark.parametrize("quorum", ["", "*", "ANY 1 (*)", "FIRST 1 (s2, s3)", "2 (s2, s3)", "s2, s3"])
def test_another_form_says_nothing_of_what_was_acknowledged(quorum: str) -> None:
    with pytest.raises(Refused) as refused:
        furthest([standby(2, quorum=quorum), standby(3)])
    assert refused.value.code == "no_quorum"


@pytest.mark.parametrize(
    ("standbys", "code"),
    [
        ([standby(2)], "too_few"),
        ([standby(2), replace(standby(3), sleeps=False)], "no_standby"),
        ([standby(2), replace(standby(3), receives=True)], "still_receives"),
        ([standby(2), replace(standby(3), system=8)], "other_system"),
        ([standby(2), replace(standby(3), started="2")], "same_server"),
    ],
)
def test_nothing_is_promoted_on_less_than_certainty(standbys: list[Standby], code: str) -> None:
    with pytest.raises(Refused) as refused:
        furthest(standbys)
    assert refused.value.code == code
