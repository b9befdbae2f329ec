"""A deployment in good health, and what the doctor finds when something is planted in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site
from tocsin.formats.leaf import HEAD_NAME
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.doctor import clock as clock_check
from tocsin.service.doctor import engine, machine
from tocsin.service.doctor.examination import examine
from tocsin.service.doctor.finding import Finding
from tocsin.service.doctor.subject import Look, Seen, Subject
from tocsin.service.settings import settings_text

Examine = Callable[..., dict[str, str]]
"""What is found, as sentences by code; `look` in place of the public address."""


@pytest.fixture
def site(tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One report, one version out, operators' machines watch; and a machine of which nothing can be said."""
    made = Site(tmp_path / "site", clock)
    settings = made.deployment.settings
    text = settings_text(settings).replace("single_machine = true", "single_machine = false")
    made.deployment.folders.settings.write_text(text + '\n[operations]\nlisten = "127.0.0.1:9787"\n')
    made.report("ada", 0)
    clock.wait(QUARTER_SECONDS)
    made.deployment.publisher().publish()
    monkeypatch.setattr(clock_check, "is_synchronised", lambda: True)
    monkeypatch.setattr(engine, "mends_wal_reset", lambda version: True)
    monkeypatch.setattr(engine, "in_memory", lambda folder: False)
    monkeypatch.setattr(machine, "leaves_cores", lambda: False)
    monkeypatch.setattr(machine, "plain_swap", lambda swaps, kind: [])
    return made


@pytest.fixture
def public(site: Site, clock: FixedClock) -> Look:
    """The public address of a healthy site: its bucket, its clock."""
    return lambda url: Seen(200, clock.now(), (site.deployment.folders.bucket / HEAD_NAME).read_bytes())


@pytest.fixture
def examined(site: Site, clock: FixedClock, public: Look) -> Examine:
    def run(look: Look = public, top: Path = site.top) -> dict[str, str]:
        subject = Subject(top, clock, look)
        try:
            return sentences(examine(subject))
        finally:
            subject.close()

    return run


def sentences(found: tuple[Finding, ...]) -> dict[str, str]:
    """By code, all of one code together."""
    by_code: dict[str, str] = {}
    for each in found:
        by_code[each.code.code] = f"{by_code.get(each.code.code, '')}{each.sentence}\n"
    return by_code
