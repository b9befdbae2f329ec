"""Metrics: when a figure comes out, that no line comes from outside, and that page, alerts and table agree."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from prometheus_client.parser import text_string_to_metric_families

from tests.builders import Story, day_key
from tests.sites import MORNING, FixedClock, Site
from tocsin.client.calls import decoy_call
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.times import QUARTER_SECONDS, Instant, day_of
from tocsin.service import figures
from tocsin.service.held_back import CROWD, HeldBack
from tocsin.service.small_numbers import LEAST, in_tens
from tocsin.service.telemetry import METRICS, REPORTS, Kind, Telemetry, in_whole_tens
from tocsin.service.watch import Watch, ledger_figures

ROOT = Path(__file__).resolve().parents[2]
LATER = Instant(MORNING + QUARTER_SECONDS)


def scraped(telemetry: Telemetry, now: int) -> dict[tuple[str, str], float]:
    """The value of each line by metric and its label's value."""
    text = telemetry.scrape(Instant(now), ["not_now"]).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, "".join(sample.labels.values())): sample.value for sample in samples}


TAKEN = ("tocsin_calls_answered_total", "taken")


def test_a_verdict_comes_out_when_its_quarter_hour_is_over_and_not_a_second_before() -> None:
    """T-P5: a scrape a second tells no finer time of a report than the journal."""
    telemetry = Telemetry()
    telemetry.group_durable([Verdict.TAKEN] * 50, 0.01, MORNING)
    assert {scraped(telemetry, MORNING + second)[TAKEN] for second in (0, 1, 450, QUARTER_SECONDS - 1)} == {0}
    assert scraped(telemetry, LATER)[TAKEN] == 50


def test_an_answer_counted_late_changes_nothing_within_a_quarter_hour() -> None:
    telemetry = Telemetry()
    telemetry.group_durable([Verdict.TAKEN], 0.01, MORNING)
    assert scraped(telemetry, LATER)[TAKEN] == 1
    telemetry.group_durable([Verdict.TAKEN], 0.01, Instant(LATER - 1))  # its clock was read before the quarter's end
    assert scraped(telemetry, LATER + 1)[TAKEN] == 1
    assert scraped(telemetry, LATER + QUARTER_SECONDS)[TAKEN] == 2


def test_a_clock_in_doubt_lets_nothing_out() -> None:
    telemetry = Telemetry()
    telemetry.group_durable([Verdict.TAKEN], 0.01, MORNING)
    assert scraped(telemetry, 0)[TAKEN] == 0


def test_times_of_calls_come_out_by_the_ten() -> None:
    telemetry = Telemetry()
    count = ("tocsin_call_seconds_count", "")
    for _ in range(CROWD - 1):
        telemetry.call_answered(0.05, MORNING)
        assert scraped(telemetry, MORNING)[count] == 0
    telemetry.call_answered(0.3, MORNING)
    found = scraped(telemetry, MORNING)
    assert found[count] == 10 and found["tocsin_call_seconds_sum", ""] == pytest.approx(0.75)
    assert found["tocsin_call_seconds_bucket", "0.05"] == 9 and found["tocsin_call_seconds_bucket", "0.5"] == 10


def test_the_servers_own_probes_are_no_crowd() -> None:
    """Else a call among nine probes, whose number is known, would be seen to within two minutes."""
    telemetry = Telemetry()
    telemetry.call_answered(0.05, MORNING)
    for _ in range(3 * CROWD):
        telemetry.group_durable([Verdict.NOTED], 0.01, MORNING)
    found = scraped(telemetry, MORNING)
    assert found["tocsin_group_calls_count", ""] == found["tocsin_call_seconds_count", ""] == 0
    assert scraped(telemetry, LATER)["tocsin_group_calls_count", ""] == 3 * CROWD


def test_a_lone_call_that_waits_is_not_seen() -> None:
    assert [in_whole_tens(count)[""] for count in (0, 1, 9, 10, 4095)] == [0, 0, 0, 10, 4090]


def test_the_labels_are_the_closed_list_of_verdicts() -> None:
    found = scraped(Telemetry(), MORNING)
    assert {label for name, label in found if name == TAKEN[0]} == {str(verdict) for verdict in Verdict}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5000)), max_size=40), st.integers(0, 6000))
def test_what_is_seen_only_grows_and_in_the_end_is_all(adds: list[tuple[int, int]], end: int) -> None:
    held: HeldBack[str] = HeldBack(CROWD)
    seen = 0
    for count, at in adds:
        held.add({"x": count}, count, Instant(at - at % QUARTER_SECONDS))
        now = held.seen(Instant(0))["x"]
        assert now >= seen
        seen = now
    assert held.seen(Instant(10_000))["x"] == sum(count for count, _ in adds)


def test_a_figure_that_cannot_be_read_takes_no_other_with_it() -> None:
    telemetry = Telemetry()

    def broken() -> dict[str, float]:
        raise OSError("find-me")

    telemetry.watch(next(metric for metric in METRICS if metric.name == "tocsin_connections"), broken)
    assert b"find-me" not in telemetry.scrape(MORNING, []) and TAKEN in scraped(telemetry, MORNING)


# --- small numbers ---------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(1, 6), st.integers(0, 45), max_size=6))
def test_no_small_count_of_a_provider_can_be_computed(counts: dict[int, int]) -> None:
    """T-P8, G1: who knows the total, the number of providers and this rule can't pin a provider below ten.

    For each provider that is not told, the least and the greatest count that agree with all that is known.
    """
    told = in_tens(counts)
    assert all(count >= LEAST and count % LEAST == 0 for count in told.values())
    if not told:
        return
    rest = sum(counts.values()) - sum(told.values())
    for provider in counts.keys() - told.keys():
        greatest = min(9, rest)
        least = max(0, rest - 9 * (len(counts) - 1))
        assert least < greatest or counts[provider] == 0


def test_a_provider_is_told_of_people_and_not_of_what_they_send() -> None:
    """Four people who continue twice are four: fewer than ten of one provider are never told."""
    story = Story()
    batch = story.batch()
    for serial in range(4):
        name = f"phone {serial}"
        story.report(name, [day_key(name)], story.card(batch, serial))
        for links in (0, 1):
            story.go_on(name, [day_key(f"{name} {links}", 2 + links)], links=links)
    assert story.ledger.reports.count == 12
    assert figures.reports_by_provider(story.ledger, day_of(story.now)) == {1: 4}


# --- the same figures as status --------------------------------------------------------------------------------------


def test_a_deployment_watched(tmp_path: Path) -> None:
    clock = FixedClock()
    site = Site(tmp_path / "site", clock)
    for serial in range(12):
        site.report(f"phone {serial}", serial)
    site.withdraw("phone 3")
    site.answer(decoy_call())
    telemetry = site.performer.telemetry
    watch = Watch(site.deployment, telemetry)
    watch.look(site.performer.ledger)
    found, ledger = scraped(telemetry, clock.at), site.performer.ledger
    reports = figures.reports_of(ledger)
    assert found["tocsin_reports", "all"] == reports.total == 12
    assert found["tocsin_reports", "withdrawn"] == reports.withdrawn == 1
    assert found["tocsin_journal_events", ""] == ledger.sequence
    assert found["tocsin_disk_free_bytes", "journal"] % (1 << 20) == 0
    assert found["tocsin_clock_trusted", ""] == 1 and found["tocsin_day_keys_ahead_days", ""] >= -1
    site.report("phone 20", 20)
    watch.look(ledger)
    assert scraped(telemetry, clock.at)["tocsin_reports", "all"] == 12  # until the quarter-hour is over
    clock.wait(QUARTER_SECONDS)
    watch.look(ledger)
    found = scraped(telemetry, clock.at)
    assert found["tocsin_reports", "all"] == 13 and found[TAKEN] == 13
    assert found["tocsin_calls_answered_total", "noted"] == 1
    assert not any(name == "tocsin_provider_reports" for name, _ in found)  # of a day that is not over
    assert figures.reports_by_provider(ledger, day_of(clock.at)) == {1: 13}


def test_a_clock_that_is_not_trusted_is_a_figure(tmp_path: Path) -> None:
    clock = FixedClock()
    site = Site(tmp_path / "site", clock)
    Watch(site.deployment, site.performer.telemetry).look(Ledger())
    clock.wait(-3600)
    assert scraped(site.performer.telemetry, clock.at)["tocsin_clock_trusted", ""] == 0


# --- page and alerts -------------------------------------------------------------------------------------------------


def test_every_metric_stands_on_the_page_with_kind_label_and_when_it_is_seen() -> None:
    page = (ROOT / "docs" / "operating" / "watching.md").read_text(encoding="utf-8")
    rows = [[cell.strip("` ") for cell in line.strip("|").split("|")] for line in page.splitlines()]
    listed = [row[:4] for row in rows if row[0].startswith("tocsin_")]
    assert listed == [
        [metric.name, metric.kind.value, metric.label or "", metric.seen.name.lower()] for metric in METRICS
    ]


def _named(text: str) -> set[str]:
    """The metrics' lines that queries in `text` name."""
    return set(re.findall(r"\btocsin_[a-z_]+", text))


def _lines() -> set[str]:
    """The names of all lines of a scrape."""
    parts = ("bucket", "count", "sum")
    plain = {metric.name for metric in METRICS if metric.kind is not Kind.HISTOGRAM}
    return plain | {f"{metric.name}_{part}" for metric in METRICS if metric.kind is Kind.HISTOGRAM for part in parts}


def test_the_dashboard_names_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "tocsin.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert len(queries) > 15 and set.union(*map(_named, queries)) <= _lines()


def test_alerts_name_metrics_that_exist_and_rows_of_the_page() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "tocsin.rules.yml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "operating" / "watching.md").read_text(encoding="utf-8")
    assert _named(rules) and _named(rules) <= _lines()
    assert re.findall(r"alert: (\w+)", rules) == re.findall(r"^\| `(Tocsin\w+)`", page, re.MULTILINE)
    for target in re.findall(r'runbook: "([^"]+)"', rules):
        file, _, anchor = target.partition("#")
        headings = re.findall(r"^## (.+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the path")
def test_alerts_fire_on_a_bad_day_and_are_silent_on_a_good_one() -> None:
    folder = ROOT / "deploy" / "prometheus"
    for words in (["check", "rules", "tocsin.rules.yml"], ["test", "rules", "tocsin.test.yml"]):
        done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_label_values_that_alerts_name_exist() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "tocsin.rules.yml").read_text(encoding="utf-8")
    bounds: Any = {str(float(bound)) for metric in METRICS for bound in metric.bounds}
    assert set(re.findall(r'state="(\w+)"', rules)) <= set(ledger_figures(Ledger(), MORNING, 14)[REPORTS])
    assert set(re.findall(r'le="([^"]+)"', rules)) <= bounds
    assert set(re.findall(r'part="(\w+)"', rules)) <= {"journal", "calls", "publishing", "archiving"}
