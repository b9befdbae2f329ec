"""Records what this version's server says and publishes, for `client_0_3.py`: once, and never again for one version.

``python -m tests.frozen.record FILE`` writes a new file and refuses an old one.
"""

import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.sites import MORNING, FixedClock, Site, drawn, report
from tocsin.client.calls import decoy_call, track_call, withdraw_call
from tocsin.formats.wire import encode_answer
from tocsin.model.calls import SentKey


def recorded() -> dict[str, Any]:
    """Calls with their answers, the trust file, and for each version all files that a client may fetch."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "site", FixedClock())
        publisher = site.deployment.publisher()
        ada, bob = (report(name, site.cards[serial], 2, site.clock.now()) for serial, name in enumerate(("ada", "bob")))
        calls = [
            ada.body,
            bob.body,
            report("eve", site.cards[0], 1, site.clock.now()).body,
            track_call(ada.withdrawal_secret),
            decoy_call(),
        ]
        answers = [_said(site, body) for body in calls[:3]]
        steps = []
        site.clock.wait(900)
        publisher.publish()
        steps.append(_step(site, 4))
        answers += [_said(site, body) for body in calls[3:]]
        calls.append(withdraw_call(bob.withdrawal_secret))
        answers.append(_said(site, calls[-1]))
        site.clock.wait(900)
        publisher.publish()
        steps.append(_step(site, 2))
        trust = json.loads(site.deployment.folders.trust.read_bytes())
        site.deployment.close()
    exchanges = [[body.decode(), answer.decode()] for body, answer in zip(calls, answers, strict=True)]
    return {"trust": trust, "exchanges": exchanges, "steps": steps}


def _said(site: Site, body: bytes) -> bytes:
    return encode_answer(site.answer(body))


def _step(site: Site, keys: int) -> dict[str, Any]:
    bucket = site.deployment.folders.bucket
    names = [bucket / "v1" / "head", *sorted((bucket / "v1" / "utopia" / "keyset").iterdir())]
    files = {str(path.relative_to(bucket)): base64.b64encode(path.read_bytes()).decode() for path in names}
    return {"now": site.clock.now(), "keys": keys, "files": files}


def sent_key(name: str, day: int) -> SentKey:
    """The key of `name` that many days before the recording, as `tests.sites.report` makes it."""
    return SentKey(drawn(f"{name} {day}", 16), (MORNING // 86_400 - day) * 144, 144)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("x", encoding="ascii") as file:
        json.dump(recorded(), file, indent=1, sort_keys=True)
        file.write("\n")
