"""The client of 0.2, as it was written: it goes on working, against today's server and what 0.3's server said (E5)."""

import base64
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.frozen.record import sent_key
from tests.sites import FixedClock, Site
from tocsin.web.server import running_server

_HERE: Final = Path(__file__).parent
_VECTORS: Final = _HERE.parent / "vectors"
_PINNED: Final = {
    "client_0_3.py": "6a01ac7999dbf1784d6181a6c705c56488568f21cc2aa05df9b85041eb44d0d0",
    "recorded_0_3.json": "9af7a66728d17ffe82fabca5667701806028990e6b7be54c7df080043c3a6340",
}


def _client() -> Any:
    spec = importlib.util.spec_from_file_location("client_0_3", _HERE / "client_0_3.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client: Final = _client()
RECORDED: Final[dict[str, Any]] = json.loads((_HERE / "recorded_0_3.json").read_text(encoding="ascii"))


@pytest.mark.parametrize("name", _PINNED)
def test_what_is_frozen_stays_as_it_is(name: str) -> None:
    """Never make this test agree with a change: a new version gets a client and a recording of its own."""
    assert hashlib.sha256((_HERE / name).read_bytes()).hexdigest() == _PINNED[name]


class Mirror:
    """Hands out files by name, and remembers which."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files
        self.asked: list[str] = []

    def fetch(self, name: str, most: int) -> bytes:
        self.asked.append(name)
        return base64.b64decode(self._files[name])


def _of(name: str, day: int) -> list[tuple[bytes, int]]:
    key = sent_key(name, day)
    rpis = client.identifiers(key.key_data, key.rolling_start_interval_number, key.rolling_period)
    return [(rpis[72], key.rolling_start_interval_number + 72)]


def test_it_reads_what_was_recorded() -> None:
    verdicts = [client.read_answer(answer.encode())["verdict"] for _, answer in RECORDED["exchanges"]]
    assert verdicts == ["taken", "taken", "code_spent", "taken", "noted", "withdrawn"]
    first, second = RECORDED["steps"]
    state = client.sync(None, RECORDED["trust"], first["now"], Mirror(first["files"]).fetch)
    assert len(state["records"]) == first["keys"]
    assert client.matches(state["records"], _of("bob", 1)) and client.matches(state["records"], _of("ada", 2))
    mirror = Mirror(second["files"])
    state = client.sync(state, RECORDED["trust"], second["now"], mirror.fetch)
    assert len(mirror.asked) == 2, "the head, and a delta with a removal"
    assert len(state["records"]) == second["keys"]
    assert not client.matches(state["records"], _of("bob", 1)) and client.matches(state["records"], _of("ada", 2))


@pytest.mark.parametrize(
    ("old", "new", "wait", "reason"),
    [
        ("version 2", "version 3", 0, "wrong_signature"),
        ("", "", 86_401, "stale_head"),
        ("", "", -301, "clock_wrong"),
    ],
)
def test_it_refuses_what_it_should(old: str, new: str, wait: int, reason: str) -> None:
    step = RECORDED["steps"][1]
    head = base64.b64decode(step["files"]["v1/head"]).replace(old.encode(), new.encode())
    files = step["files"] | {"v1/head": base64.b64encode(head).decode()}
    with pytest.raises(client.Refused, match=reason):
        client.sync(None, RECORDED["trust"], step["now"] + wait, Mirror(files).fetch)


def test_it_refuses_an_older_version_and_a_spoilt_file() -> None:
    first, second = RECORDED["steps"]
    state = client.sync(None, RECORDED["trust"], second["now"], Mirror(second["files"]).fetch)
    with pytest.raises(client.Refused, match="older_version"):
        client.sync(state, RECORDED["trust"], second["now"], Mirror(first["files"]).fetch)
    for name in first["files"]:
        spoilt = bytearray(base64.b64decode(first["files"][name]))
        spoilt[len(spoilt) // 2] ^= 1
        if name != "v1/head":
            files = first["files"] | {name: base64.b64encode(bytes(spoilt)).decode()}
            mirror = Mirror(files)
            try:
                client.sync(None, RECORDED["trust"], first["now"], mirror.fetch)
            except client.Refused as refused:
                assert str(refused) == "wrong_digest"
            else:
                assert name not in mirror.asked


@pytest.fixture
def town(tmp_path: Path) -> Iterator[tuple[Site, httpx.Client]]:
    site = Site(tmp_path / "site", FixedClock())
    with running_server(site.deployment, "127.0.0.1", 0) as base_url, httpx.Client(base_url=base_url) as http:
        yield site, http
    site.deployment.close()


def test_it_works_with_todays_server(town: tuple[Site, httpx.Client]) -> None:
    """E5: report by card, a continuation, publication, sync by dump and by delta with a removal, match."""
    site, http = town
    publisher = site.deployment.publisher()
    trust = http.get("/trust.json").json()

    def post(body: bytes) -> Any:
        headers = {"content-type": "application/json"}
        return client.read_answer(http.post("/v1/reports", content=body, headers=headers).content)

    def fetch(name: str, most: int) -> bytes:
        return http.get(f"/{name}").raise_for_status().content

    key = (b"k" * 16, (site.clock.now() // 86_400 - 1) * 144, 144)
    body = client.report_call([key], site.cards[0], b"w" * 32, b"c" * 32)
    assert post(body) == post(body) == {"verdict": "taken", "keys": ["taken"]}
    other = client.report_call([key], site.cards[0], b"x" * 32, b"y" * 32)
    assert post(other)["verdict"] == "code_spent"
    assert post(client.track_call(b"w" * 32))["verdict"] == "taken"
    assert post(client.decoy_call())["verdict"] == "noted"
    earlier = (b"e" * 16, key[1] - 144, 144)
    more = client.continue_call([earlier], b"c" * 32, b"d" * 32)
    assert post(more) == post(more) == {"verdict": "taken", "keys": ["taken"]}
    heard = [(client.identifiers(*key)[7], key[1] + 7)]
    site.clock.wait(900)
    publisher.publish()
    state = client.sync(None, trust, site.clock.now(), fetch)
    assert client.matches(state["records"], heard) == heard and len(state["records"]) == 2
    assert client.sync(state, trust, site.clock.now(), fetch) is state
    assert post(client.withdraw_call(b"w" * 32))["verdict"] == "withdrawn"
    site.clock.wait(900)
    publisher.publish()
    state = client.sync(state, trust, site.clock.now(), fetch)
    assert client.matches(state["records"], heard) == []


def _vectors(name: str) -> Any:
    return json.loads((_VECTORS / f"{name}.json").read_text(encoding="ascii"))


def _record(row: list[Any]) -> tuple[tuple[int, bytes], tuple[int, ...]]:
    key = bytes.fromhex(row[0])
    return (1 if len(key) == 16 else 2, key), tuple(row[1:])


def test_it_reads_keysets_as_the_vectors_say() -> None:
    vectors = _vectors("keyset")
    for good in vectors["files"]:
        file = client.read_keyset(bytes.fromhex(good["file"]), good["region"])
        assert file["added"] == dict(map(_record, good["additions"])), good["name"]
        assert file["set"].hex() == good["set_digest"]
    for bad in vectors["bad_files"]:
        with pytest.raises(client.Refused):
            client.read_keyset(bytes.fromhex(bad["file"]), "utopia")
            pytest.fail(bad["name"])
    for good in vectors["set_digests"]:
        assert client.set_digest(good["region"], dict(map(_record, good["records"]))).hex() == good["set_digest"]
    for case in vectors["applications"]:
        file = client.read_keyset(bytes.fromhex(case["delta"]), "utopia")
        held = client.applied(dict(map(_record, case["records"])), file)
        assert held == dict(map(_record, case["result"])), case["name"]


def test_it_reads_heads_as_the_vectors_say() -> None:
    vectors = _vectors("head")
    vkeys = [vectors["vkey"], vectors["witness_vkey"]]
    for good in vectors["good"]:
        client.read_head(client.verified_text(good["note"].encode(), vkeys), vectors["origin"])
    for bad in [*vectors["bad_notes"], *vectors["bad_heads"]]:
        with pytest.raises(client.Refused):
            client.read_head(client.verified_text(bad["note"].encode(), vkeys), vectors["origin"])
            pytest.fail(bad["name"])
    front = f"{vectors['origin']}\nhead\n"
    leaves = _vectors("leaf")["leaves"]
    for good in leaves["good"]:
        client.read_head(front + good["text"], vectors["origin"])
    for bad in leaves["bad"]:
        with pytest.raises(client.Refused):
            client.read_head(front + bad["text"], vectors["origin"])
            pytest.fail(bad["name"])


def test_it_reads_answers_as_the_vectors_say() -> None:
    vectors = _vectors("call")["answers"]
    for good in vectors["good"]:
        assert client.read_answer(good["start"].encode().ljust(1024)) == good["answer"]
    for bad in vectors["bad"]:
        with pytest.raises(client.Refused):
            client.read_answer(bad["start"].encode().ljust(bad.get("length", 1024)))
