"""The byte page says what the code does: every kind, every field, in order."""

import re
from pathlib import Path

from tests.journal.vectors import VECTORS
from tocsin.model.claims import ClaimClass
from tocsin.model.events import KINDS, Act

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats" / "events.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_kind_has_its_row_with_every_field_in_order() -> None:
    act = "".join(f" `{field}`" for field in Act.__struct_fields__)
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]*) \|", section("Kinds"), re.MULTILINE)
    fields = {kind: tuple(re.findall(r"`([a-z_]+)`", text.replace("*act*", act))) for kind, text in rows}
    assert fields == {kind: body.__struct_fields__ for kind, body in KINDS.items()}
    assert [kind for kind, _ in rows] == list(KINDS)


def test_every_class_of_claims_has_its_row() -> None:
    rows = re.findall(r"^\| (\d) ", section("Claims"), re.MULTILINE)
    assert [int(row) for row in rows] == list(ClaimClass)


def test_the_worked_example_is_the_first_vector() -> None:
    founded = VECTORS["journal"][0]
    example = section("Worked example")
    assert founded["body"] in example
    assert founded["digest"] in example
    assert f"{founded['sequence']:016x} {founded['recorded_at']:016x}" in example
