"""docs/cases.md says which tests decide which case of the list of faults; it says so truly."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/cases.md").read_text(encoding="utf-8")
ROWS = {int(number): cells for number, cells in re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)}
CASES = range(1, 58)
MENTION = re.compile(r"\bcases? (\d+(?:(?:, | and | to |–)\d+)*)", re.IGNORECASE)


def cases_in(text: str) -> set[int]:
    """The cases that a text names: one by one (8, 10 and 15) or as a span (55–57, 55 to 57).

    >>> sorted(cases_in("Case 4: x. cases 8, 10 and 15, 55 to 57 of them"))
    [4, 8, 10, 15, 55, 56, 57]
    """
    named: set[int] = set()
    for mention in MENTION.findall(text):
        for first, last in re.findall(r"(\d+)(?:(?: to |–)(\d+))?", mention):
            named |= set(range(int(first), int(last or first) + 1))
    return named


def naming_files() -> dict[int, set[str]]:
    """Case → the files of tests that name it."""
    named = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name != Path(__file__).name or path.parent != Path(__file__).parent:
            for case in cases_in(path.read_text(encoding="utf-8")):
                named[case].add(path.relative_to(ROOT / "tests").as_posix())
    return named


NAMED = naming_files()


def test_every_case_has_its_row_and_every_mention_a_case() -> None:
    assert sorted(ROWS) == list(CASES) and PAGE.count("\n| ") == len(CASES) + 2
    assert NAMED.keys() <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_row_names_the_tests_that_name_the_case(case: int) -> None:
    assert set(re.findall(r"`([^`]+\.py)`", ROWS[case])) == NAMED[case]
    assert NAMED[case] or "open, because" in ROWS[case]
