"""docs/rules.md is the table of the rules: each row has a test, each code a row, each verdict a place."""

import re
from pathlib import Path

import pytest

from tocsin.model.calls import KeyVerdict, Verdict

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
RULES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/tocsin/rules").glob("*.py"))
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py")))
ROWS = re.findall(r"^\| ([A-Z]\d+) \|", PAGE, re.MULTILINE)
OF_OTHERS = {"C1", *(row for row in ROWS if row[0] == "P")}
"""Rows whose rule, and so whose test, is another room's: `formats.wire`, `publication.plan`."""


def _named_rows(text: str) -> set[str]:
    """The rows in `text`, spelled out one by one (K1, K2) or as a span (K1–K4)."""
    named = set(re.findall(r"\b[CKDTOAIR]\d+\b", text))
    for letter, first, last in re.findall(r"\b([A-Z])(\d+)–(?:[A-Z])(\d+)\b", text):
        named |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    return named


def _comments(code: str) -> str:
    return "\n".join(line.partition("#")[2] for line in code.splitlines())


def test_rows_are_numbered_once() -> None:
    assert len(ROWS) == len(set(ROWS)) > 50


@pytest.mark.parametrize("row", sorted(set(ROWS) - OF_OTHERS))
def test_a_test_names_the_row(row: str) -> None:
    assert row in _named_rows(_comments(TESTS))


def test_no_test_and_no_rule_names_a_row_that_is_not_there() -> None:
    assert _named_rows(_comments(TESTS + RULES)) <= set(ROWS)


def test_every_refusal_has_its_row() -> None:
    raised = set(re.findall(r'(?:Refused\(|MAX_\w+, )"([a-z_]+)"', RULES))
    documented = set(re.findall(r"^\| [AIR]\d+ \|.*\| `([a-z_]+)` \|$", PAGE, re.MULTILINE))
    assert raised == documented


def test_every_verdict_has_its_place() -> None:
    for verdict in (*Verdict, *KeyVerdict):
        assert f"`{verdict}`" in PAGE
