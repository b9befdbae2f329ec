"""Rows A1–A4 of docs/rules.md."""

import pytest

from tests.builders import Story, day_key, hashes_of
from tocsin.model.claims import request_claim
from tocsin.model.errors import Invalid, Refused
from tocsin.model.events import Act, Target
from tocsin.rules import corrections, issuance, quarantine, suspension
from tocsin.rules.attribution import attribution
from tocsin.rules.corrections import Selection
from tocsin.rules.issuance import BatchRequest
from tocsin.rules.phone_issuance import PhoneCodesRequest, issue_phone_codes

REQUEST = bytes(range(16))
UNPRINTABLE = ["", "   ", "\t", "a\nb", "a\x00b", "a\x1bb", "a\x7fb", "a\u202eb", "a\u2066b", "a\u2028b", "a\udc80b"]


@pytest.mark.parametrize("text", [*UNPRINTABLE, "a" * 501])
def test_texts_that_are_refused(text: str) -> None:  # A1, A2, A3
    for code, arguments in (
        ("who_refused", (text, "why", REQUEST)),
        ("why_refused", ("who", text, REQUEST)),
        ("approver_refused", ("who", "why", REQUEST, text)),
    ):
        with pytest.raises(Refused) as refusal:
            attribution(*arguments)
        assert refusal.value.code == code
        assert not text.strip() or text not in str(refusal.value)  # input is never echoed


@pytest.mark.parametrize("text", ["a", "a" * 499, "a" * 500, " Zoë Müller ", "沈 医师", "<b>{{7*7}}</b> %s '--"])
def test_texts_that_are_kept(text: str) -> None:  # A1, A2, A3; case 56: syntax of others is treated as data
    made = attribution(text, text, REQUEST, text + "2" if len(text) < 500 else "somebody else")
    assert (made.who, made.why) == (text.strip(), text.strip())


@pytest.mark.parametrize("approver", ["Ada", " ada "])
def test_nobody_approves_of_their_own_act(approver: str) -> None:  # A4
    with pytest.raises(Refused) as refusal:
        attribution("Ada", "why", REQUEST, approver)
    assert refusal.value.code == "approver_is_actor"


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_request_id_is_16_bytes(length: int) -> None:
    with pytest.raises(Invalid):
        attribution("who", "why", bytes(length))


def test_every_act_says_who_why_and_who_approved_and_is_done_once() -> None:
    story = Story()
    by = attribution("Ada", "a stack was lost", REQUEST, "Grace")
    ledger, now, policy = story.ledger, story.now, story.policy
    drafts = [issuance.add_provider(ledger, "Clinic", by)]
    story.provider()
    drafts.append(issuance.issue_batch(ledger, BatchRequest(1, 1, 1), policy, now, by))
    drafts.append(issuance.activate_batch(ledger, story.dormant_batch(), now, by))
    drafts.append(
        issue_phone_codes(ledger, PhoneCodesRequest(1, 1, 1), hashes_of(REQUEST), policy, now, by),
    )
    drafts.append(corrections.revoke(ledger, Target(provider=1), None, now, by))
    drafts.append(corrections.pause(ledger, by))
    story.append(corrections.pause(ledger, story.by()))
    drafts.append(corrections.resume(ledger, by))
    drafts.append(quarantine.quarantine(ledger, Target(provider=1), by))
    begun = story.append(quarantine.quarantine(ledger, Target(provider=1), story.by()))
    drafts.append(quarantine.lift(ledger, begun, by))
    drafts.append(suspension.suspend_provider(ledger, 1, by))
    story.append(suspension.suspend_provider(ledger, 1, story.by()))
    drafts.append(suspension.restore_provider(ledger, 1, by))
    taken = story.report("a", [day_key("p")], story.card(story.batch(story.provider()), 0))
    drafts.append(corrections.rollback(ledger, Selection(reports=(taken,)), by))
    drafts.append(corrections.reinstate(ledger, story.revoke(Target(provider=1)), by))
    for draft in drafts:
        assert isinstance(draft.body, Act)
        assert (draft.body.who, draft.body.why, draft.body.approved_by) == ("Ada", "a stack was lost", "Grace")
        assert draft.claims[0] == request_claim(REQUEST) and list(draft.claims) == sorted(draft.claims)
    assert {type(draft.body) for draft in drafts} == set(Act.__subclasses__())
