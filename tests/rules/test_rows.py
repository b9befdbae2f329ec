"""docs/rules.md is the table of the rules: each row has code and a test, each code a row, each verdict a place."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tocsin.model.calls import KeyVerdict, Verdict

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-Z]\d+) \|", PAGE, re.MULTILINE)
ROW = r"(?<![\w-])([ACDIKNOPQRSTX])([1-9]\d?)(?![\w-])"
"""A row's name; threats have theirs behind a hyphen (T-C6), and are none."""


def rows_in(text: str) -> set[str]:
    """The rows that `text` names, spelled out one by one (K1, K2) or as a span (K1–K4).

    >>> sorted(rows_in("K1, K3–K5 and not T-P1"))
    ['K1', 'K3', 'K4', 'K5']
    """
    named = {letter + number for letter, number in re.findall(ROW, text)}
    for letter, first, _, last in re.findall(f"{ROW}–{ROW}", text):
        named |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    return named


def said_in(path: Path) -> str:
    """The comments of a module and the docstrings of its functions: its own docstring tells of too much at once."""
    code = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]
    return "\n".join([*comments, *(ast.get_docstring(function) or "" for function in functions)])


def modules(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__)]


TESTED = {path: rows_in(said_in(path)) for path in modules("tests")}
RULED = {path: rows_in(said_in(path)) for path in modules("src/tocsin/rules")}
RULES = "\n".join(path.read_text(encoding="utf-8") for path in RULED)
DECIDED = "\n".join(said_in(path) for path in modules("src/tocsin"))


def test_rows_are_numbered_once_and_without_a_gap() -> None:
    assert len(ROWS) == len(set(ROWS)) > 50
    for letter in {row[0] for row in ROWS}:
        numbers = sorted(int(row[1:]) for row in ROWS if row[0] == letter)
        assert numbers == list(range(1, len(numbers) + 1)), letter


@pytest.mark.parametrize("row", ROWS)
def test_a_test_names_the_row(row: str) -> None:
    assert any(row in named for named in TESTED.values())


@pytest.mark.parametrize("row", ROWS)
def test_the_code_names_the_row(row: str) -> None:
    """Alone and not in a span, so that a search for it leads there."""
    assert re.search(rf"\b{row}\b", DECIDED)


@pytest.mark.parametrize("path", TESTED | RULED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_test_and_no_rule_names_a_row_that_is_not_there(path: Path) -> None:
    assert (TESTED | RULED)[path] <= set(ROWS)


def test_every_rule_of_gaen_has_its_row_or_a_reason() -> None:
    table = PAGE.partition("## 9. ")[2].partition("| -- | -- | -- |\n")[2]
    rules = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert len(rules) >= 30
    for rule, here, reason in rules:
        assert rule and (reason or here != "none")
        assert here == "none" or rows_in(here) == set(here.split(", ")), rule
        assert rows_in(f"{here} {reason}") <= set(ROWS), rule


def test_every_refusal_has_its_row() -> None:
    raised = set(re.findall(r'(?:Refused\(|MAX_\w+, )\s*"([a-z_]+)"', RULES))
    documented = set(re.findall(r"^\| [AIQR]\d+ \|.*\| `([a-z_]+)` \|$", PAGE, re.MULTILINE))
    assert raised == documented


def test_every_verdict_has_its_place() -> None:
    for verdict in (*Verdict, *KeyVerdict):
        assert f"`{verdict}`" in PAGE
