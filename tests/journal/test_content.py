"""Content: laid out, sealed and opened as the vectors say; anything else is refused."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.journal.vectors import DAY, DAY_KEY, JOURNAL, REPORT_ID, VECTORS, NoDayKeys, OneDayKey
from tocsin.journal.content import Opener, decode_content, encode_content, seal
from tocsin.journal.encoding import NewEvent, StoredEvent, number_event
from tocsin.model.errors import Invalid
from tocsin.model.events import Paused, ReportContent, Reported
from tocsin.model.keys import CONTENT_KEY, CONTENT_KEYS, RECORD, KeyKind, kind_of
from tocsin.model.times import Day

VECTOR: dict[str, Any] = VECTORS["content"]
PLAIN = bytes.fromhex(VECTOR["plain"])
STORED = bytes.fromhex(VECTOR["stored"])
NONCE = bytes.fromhex(VECTOR["nonce"])


def content_of_vector() -> ReportContent:
    keys = np.zeros(len(VECTOR["positions"]), CONTENT_KEY)
    keys["key_kind"] = 1
    keys["position"] = VECTOR["positions"]
    keys["record"] = np.frombuffer(bytes.fromhex("".join(VECTOR["records"])), RECORD)
    sent = bytes.fromhex(VECTOR["sent"])
    return ReportContent(VECTOR["batch"], VECTOR["serial"], VECTOR["provider"], sent, KeyKind.GAEN, keys.tobytes())


@st.composite
def contents(draw: st.DrawFn) -> ReportContent:
    positions = sorted(draw(st.sets(st.integers(0, 29))))
    keys = np.frombuffer(
        bytearray(draw(st.binary(min_size=26 * len(positions), max_size=26 * len(positions)))), CONTENT_KEY
    )
    keys["key_kind"] = 1
    keys["position"] = positions
    u32 = st.integers(0, 2**32 - 1)
    sent = draw(st.binary(min_size=32, max_size=32))
    return ReportContent(draw(u32), draw(st.integers(0, 2**16 - 1)), draw(u32), sent, KeyKind.GAEN, keys.tobytes())


def test_vector_plain() -> None:
    assert encode_content(content_of_vector()) == PLAIN
    content = decode_content(PLAIN)
    assert (content.batch, content.serial, content.provider) == (VECTOR["batch"], VECTOR["serial"], VECTOR["provider"])
    assert content.sent.hex() == VECTOR["sent"]
    assert content.keys["position"].tolist() == VECTOR["positions"]
    assert content.keys["record"].tobytes().hex() == "".join(VECTOR["records"])


def test_vector_stored() -> None:
    assert seal(DAY_KEY, DAY, "reported", REPORT_ID, PLAIN, NONCE) == STORED
    assert Opener(OneDayKey()).content("reported", REPORT_ID, STORED) == PLAIN


@pytest.mark.parametrize("row", VECTORS["refused_contents"], ids=lambda row: row["case"])
def test_refused_plain_bytes(row: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        decode_content(bytes.fromhex(row["plain"]))


@pytest.mark.parametrize("row", VECTORS["refused_seals"], ids=lambda row: row["case"])
def test_refused_stored_bytes(row: dict[str, str]) -> None:
    class SameKeyEveryDay:
        def day_key(self, day: Day) -> bytes | None:
            return DAY_KEY

    with pytest.raises(Invalid):
        Opener(SameKeyEveryDay()).content("reported", REPORT_ID, bytes.fromhex(row["stored"]))


@given(contents())
def test_content_survives_its_bytes(content: ReportContent) -> None:
    plain = encode_content(content)
    again = decode_content(plain)
    assert encode_content(again) == plain
    assert again.keys.tobytes() == content.keys.tobytes()
    assert (again.batch, again.serial, again.provider, again.sent) == (
        content.batch,
        content.serial,
        content.provider,
        content.sent,
    )


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"\x01" + data))
def test_any_bytes_are_content_or_invalid(data: bytes) -> None:
    with suppress(Invalid):
        assert encode_content(decode_content(data)) == data


@given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
def test_a_changed_byte_never_opens(at: int, flip: int) -> None:
    forged = bytearray(STORED)
    forged[at] ^= flip
    try:
        assert Opener(OneDayKey()).content("reported", REPORT_ID, bytes(forged)) is None
        assert at < 4  # another day: its key is not there
    except Invalid:
        assert at >= 4


def test_erased_content_is_none() -> None:
    assert Opener(NoDayKeys()).content("reported", REPORT_ID, STORED) is None


def test_the_wrong_key_does_not_open() -> None:
    with pytest.raises(Invalid):
        Opener(OneDayKey(DAY, bytes(32))).content("reported", REPORT_ID, STORED)


@pytest.mark.parametrize(
    ("key", "day", "kind", "own_id", "nonce"),
    [
        (bytes(31), 1, "reported", bytes(32), bytes(12)),
        (bytes(32), -1, "reported", bytes(32), bytes(12)),
        (bytes(32), 2**32, "reported", bytes(32), bytes(12)),
        (bytes(32), 1, "é", bytes(32), bytes(12)),
        (bytes(32), 1, "reported", bytes(31), bytes(12)),
        (bytes(32), 1, "reported", bytes(32), bytes(13)),
    ],
)
def test_what_can_t_be_sealed(key: bytes, day: int, kind: str, own_id: bytes, nonce: bytes) -> None:
    with pytest.raises(Invalid):
        seal(key, Day(day), kind, own_id, b"", nonce)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, batch=2**32),
        lambda c: replace(c, serial=-1),
        lambda c: replace(c, sent=c.sent[1:]),
        lambda c: replace(c, key_rows=c.keys["record"].tobytes()),
        lambda c: replace(c, key_kind=KeyKind.DP3T),
        lambda c: replace(c, key_rows=c.keys[::-1].tobytes()),
    ],
    ids=["batch", "serial", "sent", "records alone", "kind", "order"],
)
def test_content_that_has_no_layout_is_invalid(change: Any) -> None:
    with pytest.raises(Invalid):
        encode_content(change(content_of_vector()))


def reported() -> StoredEvent:
    return next(event for event in JOURNAL if event.kind == "reported")


def test_an_event_is_opened() -> None:
    event = Opener(OneDayKey()).event(reported())
    assert isinstance(event.body, Reported)
    assert (event.sequence, event.recorded_at, event.digest) == (5, reported().recorded_at, reported().digest)
    assert event.content is not None and encode_content(event.content) == PLAIN


def test_an_erased_event_is_opened_without_content() -> None:
    assert Opener(NoDayKeys()).event(reported()).content is None


def test_content_where_none_belongs_is_invalid() -> None:
    odd = number_event(NewEvent(Paused(who="a", why="b"), STORED), bytes(32), 1, 900)
    with pytest.raises(Invalid):
        Opener(OneDayKey()).event(odd)


# --- DP-3T ----------------------------------------------------------------------------------------------------------


def dp3t_content(positions: tuple[int, ...] = (0, 2, 29)) -> ReportContent:
    keys = np.zeros(len(positions), CONTENT_KEYS[KeyKind.DP3T])
    keys["key_kind"], keys["position"] = KeyKind.DP3T, positions
    keys["record"]["key_data"] = [bytes([position]) * 32 for position in positions]
    keys["record"]["rolling_start_interval_number"], keys["record"]["rolling_period"] = 144 * 20_000, 144
    return ReportContent(1, 2, 3, bytes(32), KeyKind.DP3T, keys.tobytes())


def test_day_keys_are_laid_out_as_the_page_says() -> None:
    plain = encode_content(dp3t_content())
    record = (144 * 20_000).to_bytes(4, "big") + bytes([144, 0, 0, 0])
    rows = [bytes([2, position]) + bytes([position]) * 32 + record for position in (0, 2, 29)]
    assert plain[44:] == b"".join(rows) and plain[43] == 3
    assert decode_content(plain).keys.tobytes() == dp3t_content().keys.tobytes()
    assert kind_of(decode_content(plain).keys) is KeyKind.DP3T


def test_a_content_is_of_one_kind() -> None:
    plain = bytearray(encode_content(dp3t_content()))
    plain[44 + 42] = KeyKind.GAEN
    with pytest.raises(Invalid, match="several kinds"):
        decode_content(bytes(plain))
    plain[44] = KeyKind.GAEN
    with pytest.raises(Invalid, match="length"):
        decode_content(bytes(plain))
