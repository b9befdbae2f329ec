"""An event's bytes: those of the vectors, and back."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal.vectors import JOURNAL, VECTORS
from tocsin.journal.encoding import (
    NO_DIGEST,
    NewEvent,
    StoredEvent,
    UnknownKind,
    decode_body,
    encode_body,
    event_digest,
    number_event,
    sorted_claims,
    split_claims,
)
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid
from tocsin.model.events import BODIES, KINDS, Body, Paused, Reported, Withdrawn

bodies = st.one_of([st.from_type(body) for body in BODIES])
claims = st.lists(st.binary(min_size=33, max_size=33).map(Claim), unique=True, max_size=5)


def test_the_vectors_have_every_kind() -> None:
    assert {event.kind for event in JOURNAL} == set(KINDS)


@pytest.mark.parametrize("event", JOURNAL, ids=lambda event: event.kind)
def test_vectors_are_what_is_stored(event: StoredEvent) -> None:
    previous = JOURNAL[event.sequence - 2].digest if event.sequence > 1 else NO_DIGEST
    new = NewEvent(decode_body(event.kind, event.body), event.content, event.claims[::-1])
    assert number_event(new, previous, event.sequence, event.recorded_at) == event


@pytest.mark.parametrize("row", VECTORS["refused_bodies"], ids=lambda row: row["case"])
def test_refused_bodies(row: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        decode_body(row["kind"], row["body"].encode("utf-8"))
    assert isinstance(refusal.value, UnknownKind) == (row["refusal"] == "unknown_kind")


@given(bodies)
def test_a_body_survives_its_bytes(body: Body) -> None:
    assert decode_body(body.kind, encode_body(body)) == body


@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=80))
def test_any_bytes_are_a_body_or_invalid(kind: str, data: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(decode_body(kind, data), KINDS[kind])


@pytest.mark.parametrize("data", [b'{"later":' + b"[" * 100_000, b'{"who":"\xff"}'], ids=["deep", "not UTF-8"])
def test_hostile_bodies_are_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_body("paused", data)


def test_a_body_of_a_later_version_keeps_what_this_one_knows() -> None:
    assert decode_body("withdrawn", b'{"report":5,"later":[1]}') == Withdrawn(5)


def test_text_without_utf8_is_invalid() -> None:
    with pytest.raises(Invalid):
        encode_body(Paused(who="\ud800", why=""))


@given(claims)
def test_claims_survive_being_joined(some: list[Claim]) -> None:
    ordered = sorted_claims(some)
    assert ordered == tuple(sorted(some))
    assert split_claims(b"".join(ordered)) == ordered


@pytest.mark.parametrize(
    "some",
    [[Claim(bytes(32))], [Claim(bytes(33))] * 2, [Claim(number.to_bytes(33, "big")) for number in range(256)]],
    ids=["short", "twice", "256 of them"],
)
def test_bad_claims_are_invalid(some: list[Claim]) -> None:
    with pytest.raises(Invalid):
        sorted_claims(some)


@pytest.mark.parametrize("joined", [bytes(32), bytes(66), b"\2" + bytes(32) + b"\1" + bytes(32)])
def test_claims_that_were_not_joined_here_are_invalid(joined: bytes) -> None:
    with pytest.raises(Invalid):
        split_claims(joined)


@given(st.data())
def test_every_part_of_an_event_counts_in_its_digest(data: st.DataObject) -> None:
    part = st.tuples(
        st.binary(min_size=32, max_size=32),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.sampled_from(["a", "ab", "b"]),
        st.binary(max_size=4),
        st.binary(min_size=32, max_size=32),
        claims.map(sorted_claims),
    )
    one, other = data.draw(part), data.draw(part)
    mixed = tuple(data.draw(st.sampled_from(pair)) for pair in zip(one, other, strict=True))
    assert (event_digest(*mixed) == event_digest(*one)) == (mixed == one)


@pytest.mark.parametrize(
    ("previous", "sequence", "kind"),
    [
        (bytes(31), 1, "a"),
        (bytes(32), -1, "a"),
        (bytes(32), 2**64, "a"),
        (bytes(32), 1, "é"),
        (bytes(32), 1, "a" * 256),
    ],
)
def test_what_has_no_room_in_the_layout_is_invalid(previous: bytes, sequence: int, kind: str) -> None:
    with pytest.raises(Invalid):
        event_digest(previous, sequence, 0, kind, b"{}", NO_DIGEST, ())


def test_a_body_has_every_field_in_declared_order() -> None:
    body = Reported("x", 900, 1, "t", (0,))
    assert encode_body(body) == b'{"id":"x","received_at":900,"report_type":1,"verdicts":"t","hold":[0]}'
    assert encode_body(Paused(who="a", why="b")) == b'{"who":"a","why":"b","approved_by":null}'
