"""A GAEN key's life: announced, signing beside the old one, alone, retired (case 3)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.sites import PROMPT, FixedClock, Site
from tocsin.client.trust import parse_trust
from tocsin.formats.gaen.reader import decode_signature_list, read_zip
from tocsin.formats.gaen.refusals import ExportInvalid, ExportReason
from tocsin.formats.gaen.signature import PublicKey, parse_public_key, verify_export
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.policy import SignatureInfo
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant, day_of
from tocsin.service.deployment import Deployment
from tocsin.service.key_folder import KeyFolder
from tocsin.service.trust import announce, gaen_key_states, retire, trust_of

OLD, NEW = SignatureInfo("310", "v1"), SignatureInfo("310", "v2")
EVERY_QUARTER = replace(PROMPT, gaen_step_seconds=QUARTER_SECONDS)
WEEK = 7 * DAY_SECONDS


@pytest.fixture
def site(tmp_path: Path, clock: FixedClock) -> Iterator[Site]:
    made = Site(tmp_path / "site", clock, EVERY_QUARTER)
    yield made
    made.deployment.close()


def announced(site: Site, info: SignatureInfo = NEW, signs_from: int | None = None) -> Instant:
    deployment = site.deployment
    return announce(deployment.folders, deployment.settings, deployment.keys, info, signs_from, site.clock.now())


def published(site: Site, *infos: SignatureInfo) -> set[Path]:
    """The zips that a version adds, made by a server that was started with these keys in its settings."""
    folder = site.deployment.folders.bucket / "v1" / "utopia" / "gaen"
    before = set(folder.iterdir()) if folder.is_dir() else set()
    deployment = restarted(site, *infos)
    deployment.publisher().publish()
    deployment.close()
    return {path for path in set(folder.iterdir()) - before if path.read_bytes().startswith(b"PK")}


def pass_days(site: Site, until: int, *infos: SignatureInfo) -> None:
    """Time passes, and versions go out: a clock that leaps by a week is refused."""
    while until - site.clock.now() > DAY_SECONDS:
        site.clock.wait(DAY_SECONDS)
        site.deployment.keys.make_days_ahead(day_of(site.clock.now()))
        published(site, *infos)
    site.clock.at = until


def restarted(site: Site, *infos: SignatureInfo) -> Deployment:
    deployment = Deployment(site.top, site.clock)
    policy = replace(deployment.settings.policy, gaen_signature_infos=infos)
    deployment.settings = replace(deployment.settings, policy=policy)
    return deployment


def trusted(site: Site) -> dict[SignatureInfo, PublicKey]:
    """The keys of the trust file as it is handed out now."""
    trust = parse_trust(site.deployment.folders.trust.read_bytes())
    return {
        SignatureInfo(key.verification_key_id, key.verification_key_version): parse_public_key(key.pem.encode())
        for key in trust.gaen_keys
    }


def verified(path: Path, held: dict[SignatureInfo, PublicKey]) -> tuple[SignatureInfo, ...]:
    export_bin, export_sig = read_zip(path.read_bytes())
    return verify_export(export_bin, decode_signature_list(export_sig), held)


def test_a_key_is_announced_before_it_signs(site: Site) -> None:
    """Case 3: at its instant −1, 0 and +1 quarter-hour; readers who fetched the trust file in between hold both."""
    before = trusted(site)
    signs_from = announced(site)
    assert signs_from == site.clock.now() + WEEK
    trust = parse_trust(site.deployment.folders.trust.read_bytes())
    assert [(key.verification_key_version, key.signs_from) for key in trust.gaen_keys] == [
        ("v2", signs_from),
        ("v1", 0),
    ]
    after = trusted(site)
    assert set(before) == {OLD} and set(after) == {OLD, NEW}
    for at, signed_by in (
        (site.clock.now() + QUARTER_SECONDS, (OLD,)),
        (signs_from - QUARTER_SECONDS, (OLD,)),
        (signs_from - 1, (OLD,)),
        (signs_from, (NEW, OLD)),
        (signs_from + QUARTER_SECONDS, (NEW, OLD)),
    ):
        pass_days(site, at, NEW, OLD)
        files = published(site, NEW, OLD)
        assert bool(files) == (at != signs_from - 1), "that quarter-hour has its version"
        for path in files:
            assert verified(path, after) == signed_by
            assert verified(path, before) == (OLD,)
            if NEW in signed_by:
                assert verified(path, {NEW: after[NEW]}) == (NEW,)
            else:
                with pytest.raises(ExportInvalid, match="its keys are: 310 v1") as refusal:
                    verified(path, {NEW: after[NEW]})
                assert refusal.value.reason == ExportReason.KEY_NOT_HELD


def test_the_old_key_is_retired_when_no_file_in_force_needs_it(site: Site) -> None:
    """Case 3, to its end: overlap, the new key alone, a lost bucket that needs the old one, and then neither."""
    site.report("ada", 0)
    announced(site)
    pass_days(site, site.clock.now() + WEEK, NEW, OLD)
    [overlap, *_] = published(site, NEW, OLD)
    site.report("bob", 1)
    site.clock.wait(QUARTER_SECONDS)
    alone = published(site, NEW)
    assert alone
    for path in alone:
        assert verified(path, trusted(site)) == (NEW,)
        with pytest.raises(ExportInvalid, match="its keys are: 310 v2"):
            verified(path, {OLD: trusted(site)[OLD]})
    with pytest.raises(Refused, match="still in force"):
        retired(site)
    bucket = site.deployment.folders.bucket
    whole = {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file() and path.name != ".lock"}
    file = site.deployment.folders.keys / "gaen" / "310-v1"
    hidden = file.rename(site.top / "hidden")
    shutil.rmtree(bucket)
    bucket.mkdir()
    with pytest.raises(Unavailable, match=r"gaen/310-v1.*restore"):
        published(site, NEW)
    hidden.rename(file)
    published(site, NEW)
    again = {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file() and path.name != ".lock"}
    assert again.items() <= whole.items() and overlap in again and alone <= again.keys()
    pass_days(site, site.clock.now() + 16 * DAY_SECONDS, NEW)
    site.report("cay", 2)
    for _ in range(2):
        site.clock.wait(QUARTER_SECONDS)
        published(site, NEW)
    retired(site)
    assert set(trusted(site)) == {NEW} and not file.exists()
    site.clock.wait(QUARTER_SECONDS)
    [path, *_] = published(site, NEW)
    assert verified(path, trusted(site)) == (NEW,)


def retired(site: Site) -> None:
    deployment = restarted(site, NEW)
    performer = deployment.performer()
    performer.catch_up()
    try:
        retire(deployment.folders, deployment.settings, deployment.keys, performer.ledger, OLD, site.clock.now())
    finally:
        deployment.close()


@pytest.mark.parametrize(("wait", "is_taken"), [(-QUARTER_SECONDS, False), (-1, False), (0, True), (1, True)])
def test_the_notice_has_an_edge(site: Site, wait: int, is_taken: bool) -> None:
    now = site.clock.now()
    if is_taken:
        at = announced(site, NEW, now + WEEK + wait)
        assert at % QUARTER_SECONDS == 0 and at - now - WEEK == (QUARTER_SECONDS if wait else 0)
    elif wait == -1:
        assert announced(site, NEW, now + WEEK - 1) == now + WEEK, "to the end of the quarter-hour"
    else:
        with pytest.raises(Refused, match="7 to 366 days"):
            announced(site, NEW, now + WEEK + wait)
        assert set(trusted(site)) == {OLD}


def test_to_announce_again_mends_and_never_changes(site: Site) -> None:
    """A crash between key and trust file: the same command again, as long as the notice is kept."""
    signs_from = announced(site)
    told = site.deployment.folders.trust.read_bytes()
    site.deployment.folders.trust.unlink()
    assert announced(site) == announced(site, NEW, signs_from) == signs_from
    assert site.deployment.folders.trust.read_bytes() == told
    with pytest.raises(Refused, match="new version"):
        announced(site, NEW, signs_from + DAY_SECONDS)
    with pytest.raises(Refused, match="new version"):
        announced(site, OLD)
    site.clock.wait(1)
    with pytest.raises(Refused, match="retired"):
        announced(site)
    assert site.deployment.folders.trust.read_bytes() == told


def test_settings_that_no_version_can_be_made_by(site: Site) -> None:
    """Told before a version is decided that could never be released: the old key dropped too early, a key mistyped."""
    announced(site)
    site.clock.wait(QUARTER_SECONDS)
    for infos, said in (((NEW,), "name the old one beside"), ((SignatureInfo("310", "v3"), OLD), r"gaen/310-v3")):
        with pytest.raises(Unavailable, match=said):
            published(site, *infos)
    assert published(site, OLD)


def test_a_key_that_signs_is_not_retired(site: Site) -> None:
    deployment = site.deployment
    for info, said in ((OLD, "still signs"), (NEW, "not in the key folder")):
        with pytest.raises(Refused, match=said):
            retire(
                deployment.folders, deployment.settings, deployment.keys, site.performer.ledger, info, site.clock.now()
            )


def test_an_announced_key_may_be_given_up(site: Site) -> None:
    signs_from = announced(site)
    deployment = site.deployment
    states = gaen_key_states(deployment.settings, deployment.keys, site.performer.ledger)
    assert [(each.verification_key_version, each.signs_from, each.listed, each.in_force) for each in states] == [
        ("v2", signs_from, False, False),
        ("v1", 0, True, False),
    ]
    retire(deployment.folders, deployment.settings, deployment.keys, site.performer.ledger, NEW, site.clock.now())
    assert set(trusted(site)) == {OLD}


def test_a_retirement_that_broke_off_is_finished_by_the_same_command(site: Site) -> None:
    """A kill after the key is destroyed leaves it in the trust file, and nothing else would take it out."""
    announced(site)
    deployment = site.deployment
    deployment.keys.remove_gaen_key(NEW)
    assert set(trusted(site)) == {OLD, NEW}
    with pytest.raises(Refused, match=r"not in the key folder, and trust\.json does not name it"):
        retire(deployment.folders, deployment.settings, deployment.keys, site.performer.ledger, NEW, site.clock.now())
    assert set(trusted(site)) == {OLD}


def test_of_two_announcements_at_once_the_second_is_not_told_a_wrong_instant(site: Site) -> None:
    class Beaten(KeyFolder):
        def announce_gaen_key(self, info: SignatureInfo, signs_from: Instant) -> None:
            super().announce_gaen_key(info, Instant(signs_from + DAY_SECONDS))
            super().announce_gaen_key(info, signs_from)

    deployment = site.deployment
    keys = Beaten(deployment.folders.keys)
    with pytest.raises(Refused, match="signs from another instant"):
        announce(deployment.folders, deployment.settings, keys, NEW, None, site.clock.now())


def test_the_only_key_that_signs_now_is_not_retired(site: Site) -> None:
    """Before the first version no file needs it; but without it there is none until the notice is over."""
    announced(site)
    deployment = restarted(site, NEW)
    with pytest.raises(Refused, match="no key that the settings name signs yet"):
        retire(deployment.folders, deployment.settings, deployment.keys, site.performer.ledger, OLD, site.clock.now())
    deployment.close()
    assert set(trusted(site)) == {OLD, NEW}


def test_a_retired_key_has_no_second_name(site: Site) -> None:
    """A kill in the midst of an announcement leaves one."""
    announced(site)
    folder = site.deployment.folders.keys / "gaen"
    (folder / ".310-v2.0011223344556677").hardlink_to(folder / "310-v2")
    site.deployment.keys.remove_gaen_key(NEW)
    assert [path.name for path in folder.iterdir()] == ["310-v1"]


@pytest.mark.parametrize("line", [b"signs-from: soon\n", b"signs-from: -1\n", b"signs-fron: 1\n", b""])
def test_a_key_file_whose_first_line_is_damaged_signs_nothing(site: Site, line: bytes) -> None:
    announced(site)
    path = site.deployment.folders.keys / "gaen" / "310-v2"
    pem = path.read_bytes().partition(b"\n")[2]
    path.write_bytes(line + b"\x00" + pem)
    with pytest.raises(Invalid, match="310-v2"):
        trust_of(site.deployment.settings, site.deployment.keys)
