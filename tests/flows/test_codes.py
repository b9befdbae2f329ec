"""Codes over HTTP and on the disk: used once whoever tries, and nowhere to be read."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.sites import FixedClock, Site, cards_of, report
from tocsin.cli.fetch import post
from tocsin.codes.phone import spell_phone_code
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.service.deployment import Deployment
from tocsin.web.server import running_server


@pytest.mark.parametrize("kind", ["card", "phone code"])
def test_one_code_by_64_phones_at_two_servers(tmp_path: Path, kind: str) -> None:
    """Case 23, threats T-C3: exactly one report is taken; who repeats it reads the same receipt at either server."""
    site = Site(tmp_path / "site", FixedClock())
    code = site.cards[0] if kind == "card" else site.phone_codes("phone")[0]
    bodies = [report(f"phone {number}", code, 3, site.clock.at).body for number in range(64)]
    beside = Deployment(site.top, site.clock)
    with (
        running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as one,
        running_server(beside, "127.0.0.1", 0, grid_seconds=0) as other,
        ThreadPoolExecutor(64) as phones,
    ):
        urls = [f"{base}/v1/reports" for base in (one, other) * 32]
        answers = list(phones.map(post, urls, bodies))
        heard = Counter(decode_answer(answer).verdict for answer in answers)
        assert heard == {Verdict.TAKEN: 1, Verdict.CODE_SPENT: 63}
        [(taken, receipt)] = [
            (body, answer)
            for body, answer in zip(bodies, answers, strict=True)
            if decode_answer(answer).verdict is Verdict.TAKEN
        ]
        assert [post(url, taken) for url in urls[:2]] == [receipt] * 2
    beside.close()
    site.deployment.close()


def forms(code: str) -> Iterable[bytes]:
    """The texts and unkeyed digests by which somebody who reads the disk would know a code."""
    plain = code.replace("-", "")
    yield from (code.encode(), plain.encode(), plain.lower().encode(), " ".join(code.split("-")).encode())
    for text in (code, plain):
        digest = hashlib.sha256(text.encode()).digest()
        yield from (digest[:16], digest.hex().encode(), base64.b64encode(digest), base64.urlsafe_b64encode(digest)[:22])


def found(needles: set[bytes], data: bytes) -> set[bytes]:
    """Those of `needles`, none below 8 bytes, that are in `data`: all windows of 8 bytes are looked up at once."""
    if len(data) < 8:
        return set()
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8)
    heads = np.array(sorted({int.from_bytes(needle[:8], "big") for needle in needles}), np.uint64)
    values = windows.astype(np.uint64) @ (np.uint64(256) ** np.arange(7, -1, -1, dtype=np.uint64))
    places = np.nonzero(np.isin(values, heads))[0]
    by_head: dict[bytes, list[bytes]] = {}
    for needle in needles:
        by_head.setdefault(needle[:8], []).append(needle)
    return {
        needle
        for place in places.tolist()
        for needle in by_head[data[place : place + 8]]
        if data.startswith(needle, place)
    }


def test_no_code_is_to_be_read_on_the_disk(tmp_path: Path) -> None:
    """Threats T-C8: 1,000 cards and 1,000 phone codes, some used, and every byte of the folder, the WAL included."""
    site = Site(tmp_path / "site", FixedClock(), cards=1_000)
    codes = [*cards_of(site.deployment, 1, 1_000), *map(spell_phone_code, site.phone_codes("phone", 1_000))]
    for number in range(0, 2_000, 100):
        call = report(f"phone {number}", codes[number], 3, site.clock.at)
        assert site.answer(call.body).verdict is Verdict.TAKEN
    needles = {form for code in codes for form in forms(code)}
    files = [path for path in site.top.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") and path.stat().st_size for path in files)
    for path in files:
        assert not found(needles, path.read_bytes()), path
    for planted in list(needles)[::97]:  # the search finds what is there
        assert planted in found(needles, b"x" * 13 + planted + b"y")
    site.deployment.close()
