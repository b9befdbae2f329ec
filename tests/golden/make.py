"""Writes the golden journal of a version: ``python -m tests.golden.make VERSION``, once, before its release.

A journal is not made twice with the same bytes (nonces and secrets are drawn), so what is committed is never written
anew: every later version must open it, and make the same public files of it.
"""

import base64
import hashlib
import json
import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from tests.sites import PROMPT, FixedClock, Site, by, cards_of, drawn, loop_of, report
from tocsin.client.calls import continue_call, make_report
from tocsin.formats.gaen.reader import read_zip
from tocsin.journal.encoding import StoredEvent
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.events import BatchIssued, Target
from tocsin.model.keys import ReportType, dp3t_chain
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, KEPT_DAYS, Instant, day_of, floor_quarter
from tocsin.rules import corrections, suspension
from tocsin.rules.attribution import attribution
from tocsin.rules.corrections import Selection
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch
from tocsin.rules.quarantine import lift, quarantine
from tocsin.service.perform import Arrival
from tocsin.stores.spool import Spool

FOLDER = Path(__file__).parent


def content_hashes(bucket: Path) -> dict[str, str]:
    """SHA-256 of every object; of ``export.bin`` for a zip, since another build of zlib packs it otherwise.

    The index beside the GAEN files is left out: it promises no bytes, and only says which of these are there.
    """
    hashes = {}
    for path in sorted(bucket.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.name != "index.txt":
            data = path.read_bytes()
            content = read_zip(data)[0] if data.startswith(b"PK") else data
            hashes[str(path.relative_to(bucket))] = hashlib.sha256(content).hexdigest()
    return hashes


def as_line(event: StoredEvent) -> str:
    """One event as a line of JSON; byte strings in base64."""
    return json.dumps(
        {
            "sequence": event.sequence,
            "recorded_at": event.recorded_at,
            "kind": event.kind,
            "body": event.body.decode(),
            "content": None if event.content is None else _text(event.content),
            "content_digest": _text(event.content_digest),
            "claims": [_text(claim) for claim in event.claims],
            "digest": _text(event.digest),
        }
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def tell(site: Site) -> None:
    """A history with every kind of event that this version writes."""
    clock, performer = site.clock, site.performer
    publisher = site.deployment.publisher()
    for serial in range(4):
        site.report(f"phone {serial}", serial)
    clock.wait(900)
    publisher.publish()
    site.withdraw("phone 0")
    performer.act(lambda ledger, now: suspension.suspend_provider(ledger, 1, by("suspend")))
    site.report("phone 5", 5)
    stack = Target(batch=1, first=1, last=2)
    performer.act(lambda ledger, now: corrections.revoke(ledger, stack, None, now, by("revoke")))
    back = performer.act(lambda ledger, now: corrections.rollback(ledger, Selection(target=stack), by("roll back")))
    clock.wait(900)
    publisher.publish()
    performer.act(lambda ledger, now: corrections.pause(ledger, by("pause")))
    performer.act(lambda ledger, now: corrections.reinstate(ledger, back.sequence, by("reinstate")))
    performer.act(lambda ledger, now: suspension.restore_provider(ledger, 1, by("restore")))
    above_quota = attribution("Ada", "a whole town", drawn("above quota", 16), approved_by="Grace")
    request = BatchRequest(provider=1, count=5, issuing_period=1)
    quota_of_none = replace(PROMPT, provider_daily_cards=0)
    performer.act(lambda ledger, now: issue_batch(ledger, request, quota_of_none, now, above_quota))
    site.report("phone 9", 9)
    clock.wait(900)
    publisher.publish()
    performer.act(lambda ledger, now: corrections.resume(ledger, by("resume")))
    tell_of_later_days(site)
    for hours in (1, 4, 24):
        clock.wait(hours * 3600)
        publisher.publish()


def tell_of_later_days(site: Site) -> None:
    """A phone code, a likely report that is continued with a confirming card, a quarantine, DP-3T keys."""
    clock, performer = site.clock, site.performer
    likely = BatchRequest(provider=1, count=5, issuing_period=1, report_type=ReportType.LIKELY)
    batch = performer.act(lambda ledger, now: issue_batch(ledger, likely, PROMPT, now, by("likely"))).body
    assert isinstance(batch, BatchIssued)
    performer.act(lambda ledger, now: activate_batch(ledger, batch.batch, now, by("activate likely")))
    [phone_code] = site.phone_codes("hotline")
    taken(site, report("phone 10", phone_code, 3, clock.now()).body)
    taken(site, report("phone 11", cards_of(site.deployment, batch.batch, 1)[0], 3, clock.now()).body)
    chain = dp3t_chain(drawn("phone 12"), 3)
    first = day_of(clock.now()) - 3
    keys = [SentKey(key, (first + day) * INTERVALS_PER_DAY, INTERVALS_PER_DAY) for day, key in enumerate(chain)]
    pending = make_report(
        keys,
        code=site.cards[12],
        onset_day=None,
        withdrawal_secret=drawn("phone 12 w"),
        continuation_secret=drawn("phone 12 c"),
    )
    taken(site, pending.body)
    kept = performer.act(lambda ledger, now: quarantine(ledger, Target(batch=1), by("keep back")))
    clock.wait(900)
    site.deployment.publisher().publish()
    performer.act(lambda ledger, now: lift(ledger, kept.sequence, by("lift")))
    clock.wait(24 * 3600)
    later = [SentKey(drawn("phone 11 0", 16), (day_of(clock.now()) - 1) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)]
    more = continue_call(
        later,
        code=site.cards[13],
        onset_day=None,
        continuation_secret=drawn("phone 11 c"),
        next_continuation_secret=drawn("phone 11 c 2"),
    )
    taken(site, more.body)


def tell_of_what_is_erased(site: Site) -> None:
    """A report that is cut off and erased while what continued it is still there, and one that was kept in a spool."""
    clock, performer = site.clock, site.performer
    loop = loop_of(site.deployment, site.deployment.publisher(), clock, no_trouble)
    loop.round()
    site.report("phone 14", 14)
    taken(site, report("phone 15", site.cards[15], 3, clock.now()).body)
    clock.wait(DAY_SECONDS)
    more = continue_call(
        [SentKey(drawn("phone 14 0", 16), (day_of(clock.now()) - 1) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)],
        code=None,
        onset_day=None,
        continuation_secret=drawn("phone 14 c"),
        next_continuation_secret=drawn("phone 14 c 2"),
    )
    taken(site, more.body)
    cut_off = Target(batch=1, first=14, last=14)
    yesterday = Instant(clock.now() - DAY_SECONDS)
    performer.act(lambda ledger, now: corrections.revoke(ledger, cut_off, yesterday, now, by("cut off")))
    with closing(Spool(site.top / "spool.sqlite")) as spool:
        kept = report("phone 16", site.cards[16], 3, clock.now()).body
        performer.keep([Arrival(kept, floor_quarter(clock.now()))], spool, clock.now())
        site.report("phone 17", 16)
        performer.deliver(spool.first(1))
    for _ in range(KEPT_DAYS - 1):
        clock.wait(DAY_SECONDS)
        loop.round()


def no_trouble(sentence: str | None) -> None:
    """What the loop of a site that is well says."""
    assert sentence is None, sentence


def taken(site: Site, body: bytes) -> None:
    """A call that is answered so."""
    assert site.answer(body).verdict is Verdict.TAKEN


def main(version: str) -> None:
    folder = FOLDER / version
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(Path(scratch) / "site", FixedClock(), replace(PROMPT, dp3t_keys=True), cards=20)
        tell_of_what_is_erased(site)
        tell(site)
        deployment = site.deployment
        lines = [as_line(event) for event in deployment.journal.read(0)]
        (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
        hashes = content_hashes(deployment.folders.bucket)
        (folder / "objects.json").write_text(json.dumps(hashes, indent=2) + "\n")
        shutil.copytree(deployment.folders.keys, folder / "keys")
        shutil.copy(deployment.folders.settings, folder / "tocsin.toml")
        deployment.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
