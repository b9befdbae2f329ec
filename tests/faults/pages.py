"""The pages for operators, read by tests that do word for word what stands there."""

import re
from pathlib import Path

OPERATING = Path(__file__).parents[2] / "docs" / "operating"


def section(page: str, heading: str) -> str:
    """What stands on the page ``docs/operating/<page>`` under a heading of the second level."""
    _, found, behind = (OPERATING / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{page} has no part {heading}"
    return behind.partition("\n## ")[0]


def commands(text: str) -> list[str]:
    """The lines that a person is to type, in order."""
    return re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
