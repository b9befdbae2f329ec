"""Signed notes against what others published (C2SP, Go's sumdb, production logs), and heads against our vectors."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import make
from tocsin.formats.leaf import decode_leaf, parse_head_text
from tocsin.model.errors import Invalid
from tocsin.transparency.note import MAX_NOTE_BYTES, NoteVerifier, parse_verifier, sign_note, verify_note

HEADS: dict[str, Any] = json.loads(make.path_of("head").read_text(encoding="ascii"))
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(HEADS["seed"]))
OWN = parse_verifier(HEADS["vkey"])
WITNESS = parse_verifier(HEADS["witness_vkey"])


@pytest.fixture(scope="session")
def published(shared: Path) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((shared / "data" / "transparency" / "vectors.json").read_text())
    return vectors


def note_bytes(case: dict[str, Any]) -> bytes:
    return base64.b64decode(case["note_base64"]) if "note_base64" in case else case["note"].encode()


def is_refused(vkey: str) -> bool:
    try:
        parse_verifier(vkey)
    except Invalid:
        return True
    return False


def test_published_notes(published: dict[str, Any]) -> None:
    ours = [case for case in published["notes"] if not any(map(is_refused, case["known_keys"]))]
    assert len(ours) == 21 and sum(case["valid"] for case in ours) == 11
    for case in ours:
        note, verifiers = note_bytes(case), [parse_verifier(vkey) for vkey in case["known_keys"]]
        if case["valid"]:
            assert verify_note(note, verifiers) == case["note"].rpartition("\n\n")[0] + "\n", case["name"]
        else:
            with pytest.raises(Invalid):
                verify_note(note, verifiers)


def test_published_verifier_keys(published: dict[str, Any]) -> None:
    """Ed25519 alone: the good ones of other types are refused too."""
    good = 0
    for case in published["verifier_keys"]:
        if case["valid"] and case["type"] == 1:
            verifier = parse_verifier(case["vkey"])
            assert (verifier.name, verifier.key_id.hex()) == (case["name"], case["key_id"])
            assert verifier.vkey == case["vkey"]
            good += 1
        else:
            assert is_refused(case["vkey"]), case
    assert good == 35


def test_published_manglings_of_a_verifier_key(published: dict[str, Any]) -> None:
    mangling = published["verifier_key_mangling"]
    vkey = mangling["vkey"]
    parts = {vkey[i:j] for i in range(len(vkey)) for j in range(i, len(vkey) + 1)} - {vkey}
    stepped = {vkey[:i] + chr(ord(vkey[i]) + 1) + vkey[i + 1 :] for i in range(len(vkey))}
    assert not is_refused(vkey)
    assert all(map(is_refused, parts | stepped))


def test_published_signings_byte_for_byte(published: dict[str, Any]) -> None:
    for case in published["signing"]:
        if "seed_hex" in case:
            seed = bytes.fromhex(case["seed_hex"])
        else:
            seed = base64.b64decode(case["signer_key"].split("+", 4)[4])[1:]
        private = Ed25519PrivateKey.from_private_bytes(seed)
        key = NoteVerifier(case["name"], private.public_key().public_bytes_raw())
        assert sign_note(case["text"], key, private) == f"{case['text']}\n{case['signature_line']}".encode()
    assert len(published["signing"]) == 2


def test_published_checkpoints_of_a_log(published: dict[str, Any]) -> None:
    log = published["tile_log_small"]
    verifier = parse_verifier(log["vkey"])
    for size, note in enumerate(log["checkpoints"]):
        assert verify_note(note.encode(), [verifier]).startswith(f"{log['origin']}\n{size}\n")
    assert len(log["checkpoints"]) == 16


def test_published_cosigned_checkpoint_opens_with_the_log_key_alone(published: dict[str, Any]) -> None:
    """Cosignatures (type 0x04) by real witnesses are lines of unknown keys here."""
    case = published["cosignatures"][0]
    assert verify_note(case["note"].encode(), [parse_verifier(case["vkeys"][0])]).endswith("=\n")
    with pytest.raises(Invalid, match="no signature by a known key"):
        verify_note(case["note"].encode(), [parse_verifier(vkey) for vkey in case["published_vkeys"]])


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in HEADS["good"]])
def test_good_heads(case: dict[str, Any]) -> None:
    text = verify_note(case["note"].encode(), [OWN, WITNESS])
    assert text == HEADS["text"]
    assert parse_head_text(text, HEADS["origin"]) == decode_leaf(HEADS["leaf"].encode())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in HEADS["bad_notes"]])
def test_bad_notes(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        verify_note(case["note"].encode(), [OWN, WITNESS])


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in HEADS["bad_vkeys"]])
def test_bad_verifier_keys(case: dict[str, Any]) -> None:
    assert is_refused(case["vkey"])


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in HEADS["bad_heads"]])
def test_signed_texts_that_are_no_head_of_this_origin(case: dict[str, Any]) -> None:
    text = verify_note(case["note"].encode(), [OWN])
    with pytest.raises(Invalid):
        parse_head_text(text, HEADS["origin"])


def test_signing_a_head_gives_the_vectors_bytes() -> None:
    assert sign_note(HEADS["text"], OWN, SIGNER) == HEADS["signed"].encode()


@pytest.mark.parametrize("text", ["", "no line feed", "tab\t\n", "return\r\n", "x\n\nno line feed"])
def test_a_text_that_no_reader_would_take_is_not_signed(text: str) -> None:
    with pytest.raises(Invalid):
        sign_note(text, OWN, SIGNER)


def test_a_signature_by_another_key_does_not_leave() -> None:
    with pytest.raises(Invalid, match="does not verify"):
        sign_note("x\n", WITNESS, SIGNER)


def test_a_note_over_the_limit_is_refused_unread() -> None:
    text = "x" * (MAX_NOTE_BYTES - 200) + "\n"
    note = sign_note(text, OWN, SIGNER)
    assert verify_note(note, [OWN]) == text
    with pytest.raises(Invalid, match="too long"):
        verify_note(b"x" * 200 + note, [OWN])


@pytest.mark.parametrize("name", ["", "a+b", "a b", "a\u00a0b", "a\u2028b", "a\x1cb", "a\nb"])
def test_names_that_no_key_can_have(name: str) -> None:
    with pytest.raises(Invalid, match="name"):
        NoteVerifier(name, bytes(32))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32) if c != 10])))
def test_what_was_signed_is_what_is_read(text: str) -> None:
    assert verify_note(sign_note(text + "\n", OWN, SIGNER), [WITNESS, OWN]) == text + "\n"


@given(st.data())
def test_one_byte_changed_in_text_or_signature_is_refused_or_says_the_same(data: st.DataObject) -> None:
    note = HEADS["signed"].encode()
    place = data.draw(st.integers(0, len(note) - 1))
    other = note[:place] + data.draw(st.binary(min_size=1, max_size=1)) + note[place + 1 :]
    try:
        text = verify_note(other, [OWN])
    except Invalid:
        return
    assert text == HEADS["text"]
