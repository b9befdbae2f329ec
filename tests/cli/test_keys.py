"""`tocsin keys`, as docs/operating/gaen-keys.md has it: word for word."""

import re
from pathlib import Path

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.client.trust import GaenKey, parse_trust
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant, day_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating" / "gaen-keys.md"


def _set_infos(data: Path, line: str) -> None:
    """What an operator does with the line: in `[policy]`, in place of one that is there."""
    path = data / "tocsin.toml"
    text = re.sub(r"^gaen_signature_infos.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(f"{text.rstrip()}\n{line}\n", encoding="utf-8")


def trusted(data: Path) -> tuple[GaenKey, ...]:
    """The GAEN keys of the trust file, newest first."""
    return parse_trust((data / "trust.json").read_bytes()).gaen_keys


def _pem(out: str) -> str:
    """The public key that a person can copy from the terminal."""
    begin, end = "-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----\n"
    return out[out.index(begin) : out.index(end) + len(end)]


def _pass_days(run: Run, site: Site, clock: FixedClock, days: int) -> None:
    for _ in range(days):
        clock.wait(DAY_SECONDS)
        site.deployment.keys.make_days_ahead(day_of(clock.now()))
        assert run("publish").code == 0


def test_the_page_word_for_word(run: Run, site: Site, data: Path, clock: FixedClock) -> None:
    """Case 3: announce, list in the settings, overlap, drop the old one, retire it."""
    page = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^    tocsin (keys .*)$", page, re.MULTILINE)
    settings = re.findall(r"^    (gaen_signature_infos = .*)$", page, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["announce", "list", "list", "retire"]
    both, alone = settings
    done = run(*commands[0].split())
    assert done.code == 0 and both in done.out and _pem(done.out) == trusted(data)[0].pem
    _set_infos(data, both)
    done = run(*commands[1].split())
    assert "v2" in done.words and "signs from 2026-02-23 09:00 UTC on" in done.words
    _pass_days(run, site, clock, 7)
    assert "signs from" not in run(*commands[1].split()).words
    site.report("ada", 0)
    _pass_days(run, site, clock, 1)
    _set_infos(data, alone)
    assert "needed by files in force: keep it" in run(*commands[2].split()).words
    refused = run(*commands[3].split())
    assert refused.code == 1 and "still in force" in refused.err
    _pass_days(run, site, clock, 16)
    site.report("bob", 1)
    _pass_days(run, site, clock, 2)
    assert "not needed: tocsin keys retire" in run(*commands[2].split()).words
    assert run(*commands[3].split()).code == 0
    assert [key.verification_key_version for key in trusted(data)] == ["v2"]


def test_what_is_refused(run: Run, site: Site, data: Path, clock: FixedClock) -> None:
    for words, said in (
        (("310", "v 2"), "A-Z, a-z, 0-9 and _"),
        (("310", "v2", "--from", "2026-02-20"), "not before 2026-02-23 09:00 UTC"),
        (("310", "v1"), "take a new version"),
    ):
        refused = run("keys", "announce", *words)
        assert refused.code == 1 and said in re.sub(r"\s+", " ", refused.err), words
    assert run("keys", "retire", "310", "v1").code == 1
    assert run("keys", "retire", "310", "v9").code == 1


def test_a_clock_that_went_back_announces_nothing(run: Run, site: Site, data: Path, clock: FixedClock) -> None:
    """Its notice would be over before it began: the key would sign as soon as the clock is right."""
    clock.at = Instant(clock.at - 30 * DAY_SECONDS)
    refused = run("keys", "announce", "310", "v2")
    assert refused.code == 1 and "behind the journal" in re.sub(r"\s+", " ", refused.err)
    assert not (data / "keys" / "gaen" / "310-v2").exists()


def test_json(run: Run, site: Site, clock: FixedClock) -> None:
    told = run("keys", "announce", "310", "v2", "--json").json
    assert told["signs_from"] == clock.now() + 7 * DAY_SECONDS
    assert told["pem"].startswith("-----BEGIN PUBLIC KEY-----")
    assert [each["verification_key_version"] for each in run("keys", "list", "--json").json] == ["v2", "v1"]
    words = run("keys", "list").words
    assert "announced to sign from" in words and "but not in gaen_signature_infos" in words


def test_a_key_that_is_missing_is_named_with_the_way_out(run: Run, site: Site, data: Path, clock: FixedClock) -> None:
    site.report("ada", 0)
    (data / "keys" / "gaen" / "310-v1").rename(data / "hidden")
    clock.wait(QUARTER_SECONDS)
    refused = run("publish")
    assert refused.code == 1 and "gaen/310-v1" in refused.err and "restore it" in refused.err


def test_trust_is_written_anew_from_settings_and_keys(run: Run, site: Site) -> None:
    path, settings = site.deployment.folders.trust, site.deployment.folders.settings
    before = path.read_bytes()
    path.unlink()
    assert run("keys", "trust").code == 0 and path.read_bytes() == before
    settings.write_text(settings.read_text().replace("http://127.0.0.1:8787", "https://tocsin.example"))
    assert run("keys", "trust").code == 0
    assert parse_trust(path.read_bytes()).reports_url == "https://tocsin.example/v1/reports"
