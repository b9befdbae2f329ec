"""The tables of ``docs/privacy.md``, from what came of each condition."""

from collections.abc import Sequence
from typing import Final

from benchmarks.privacy.conditions import Result
from benchmarks.privacy.told import LEVEL, Comparison, corrected

AUC_LIMIT: Final = 0.53
"""T-P3's: beyond it a classifier is of use to somebody."""
_TESTS: Final = ("p_distance", "p_auc", "p_not_now")


def markdown(results: Sequence[Result]) -> str:
    """All tables, one below the other."""
    p = _corrected(results)
    return "\n\n".join((_overview(results, p), _kinds(results, p), _powers(results), _forms(results)))


def complaints(results: Sequence[Result]) -> list[str]:
    """What is not as promised: something told that must not be, or a leak that was not seen."""
    p = _corrected(results)
    found = []
    for result in results:
        name = result.condition.name
        told = [kind.name for kind in result.kinds[1:] if _is_told(result, kind, p[name, kind.name])]
        if result.condition.is_promised and told:
            found.append(f"{name}: told apart from decoys: {', '.join(told)}")
        if result.condition.seams.is_hasty and len(told) < len(result.kinds) - 3:
            found.append(f"{name}: the leak was not seen but for {', '.join(told)}: the tests have no power")
        statuses = [form.split(":")[0] for form in result.forms if " bytes up" in form]
        if len(set(statuses)) != len(statuses) or len(result.forms) != 2 * len(statuses):
            found.append(f"{name}: answers differ in form: {result.forms}")
    return found


def _corrected(results: Sequence[Result]) -> dict[tuple[str, str], float]:
    """For each condition and kind its least p; those of all promised conditions, and those of each other, together."""
    promised = [result for result in results if result.condition.is_promised]
    families = [promised, *([result] for result in results if not result.condition.is_promised)]
    least: dict[tuple[str, str], float] = {}
    for family in families:
        keys = [(one.condition.name, kind, test) for one in family for kind in one.kinds[1:] for test in _TESTS]
        raised = corrected([getattr(kind, test) for _, kind, test in keys])
        for (name, kind, _), value in zip(keys, raised, strict=True):
            least[name, kind.name] = min(value, least.get((name, kind.name), 1.0))
    return least


def _is_told(result: Result, kind: Comparison, p: float) -> bool:
    """By the tests together, or by an area that is of use to somebody and no chance of a small sample."""
    return p < LEVEL or kind.auc > max(AUC_LIMIT, result.power.auc)


def _overview(results: Sequence[Result], p: dict[tuple[str, str], float]) -> str:
    rows = []
    for result in results:
        name, told = result.condition.name, result.kinds[1:]
        worst = max(told, key=lambda kind: kind.auc)
        rows.append(
            (
                f"{name}: {result.condition.says}",
                f"{sum(kind.calls for kind in result.kinds[:-1]):,}, {_rate(result):,.0f}/s",
                f"{result.calls_per_group:.1f}",
                _tails(result.kinds[0]),
                _tails(result.kinds[-1]),
                f"{min(p[name, kind.name] for kind in told):.3f}",
                f"{worst.auc:.3f}",
                f"{sum(_is_told(result, kind, p[name, kind.name]) for kind in told)} of {len(told)}",
                f"{sum(kind.not_now for kind in result.kinds[:-1]):,}",
            )
        )
    head = (
        "journal",
        "calls, rate",
        "calls a sync",
        "decoys: p50, p99, p99.9 (ms)",
        "stored: the same",
        "least p, corrected",
        "greatest AUC",
        "told apart",
        "503",
    )
    return _table(head, rows)


def _rate(result: Result) -> float:
    return sum(kind.calls for kind in result.kinds[:-1]) / result.seconds


def _tails(kind: Comparison) -> str:
    return ", ".join(f"{1e3 * value:.1f}" for value in (kind.p50, kind.p99, kind.p999))


def _kinds(results: Sequence[Result], p: dict[tuple[str, str], float]) -> str:
    """A row a kind, and for each condition: distance, area, and the least corrected p."""
    rows = []
    for number, kind in enumerate(results[0].kinds):
        if number == 0:
            continue
        cells = []
        for result in results:
            one = result.kinds[number]
            least = p[result.condition.name, one.name]
            mark = "**" if _is_told(result, one, least) else ""
            cells.append(f"{mark}{one.distance:.3f}, {one.auc:.3f}, {least:.2f}{mark}")
        rows.append((kind.name, *cells))
    return _table(("against decoys: distance, AUC, p", *(result.condition.name for result in results)), rows)


def _powers(results: Sequence[Result]) -> str:
    rows = [
        (
            result.condition.name,
            f"{result.kinds[1].calls:,}",
            f"{1e3 * result.power.deviation:.2f}",
            f"{1e6 * result.power.shift:,.0f}",
            f"{result.power.shift / result.power.deviation:.3f}",
            f"{100 * result.power.later_share:.1f} %",
            f"{result.power.auc:.3f}",
        )
        for result in results
    ]
    head = (
        "what would have been seen, 4 times in 5",
        "of each kind",
        "deviation (ms)",
        "all later by (µs)",
        "in deviations",
        "share one tick later",
        "AUC",
    )
    return _table(head, rows)


def _forms(results: Sequence[Result]) -> str:
    """What the answers look like, and what the phones cost."""
    lines = []
    for result in results:
        calls = sum(kind.calls for kind in result.kinds[:-1])
        pieces = ", ".join(f"{count:,} in {reads}" for reads, count in sorted(result.pieces.items()))
        lines.append(
            f"- {result.condition.name}: {'; '.join(f'`{form}`' for form in result.forms)}. Pieces: {pieces}."
            f" {result.syncs:,} syncs in {result.seconds:,.0f} s; a core was busy with the phones for"
            f" {result.client_cpu / result.seconds:.0%} ({1e6 * result.client_cpu / calls:.0f} µs a call), with the"
            f" server for {result.server_cpu / result.seconds:.0%}."
        )
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    lines.insert(1, "| " + " | ".join("--" for _ in head) + " |")
    return "\n".join(lines)
