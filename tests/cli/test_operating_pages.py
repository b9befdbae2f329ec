"""The pages for operators name every command and every setting, with its default."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import NODEFAULT, Struct

from tests.cli.tree import commands
from tocsin.cli import serve
from tocsin.cli.log import FAULT
from tocsin.model.policy import Policy
from tocsin.service.archive_settings import ArchiveSettings
from tocsin.service.doctor.finding import Code
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.operations import Operations
from tocsin.service.settings import Settings

_OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating"


def _rows(heading: str) -> dict[str, list[str]]:
    """The cells of the table under `heading`, by setting."""
    _, _, behind = (_OPERATING / "settings.md").read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    table = behind.partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells for cells in lines}


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("The deployment", Settings),
        ("`[journal]`", JournalChoice),
        ("`[archive]`", ArchiveSettings),
        ("`[operations]`", Operations),
        ("`[policy]`", Policy),
    ],
)
def test_every_setting_stands_there_with_unit_and_default(heading: str, struct: type[Struct]) -> None:
    rows = _rows(heading)
    fields = msgspec.structs.fields(struct)
    assert list(rows) == [field.name for field in fields]
    for field in fields:
        _, unit, default, meaning = rows[field.name]
        assert unit and meaning
        if field.default is NODEFAULT:
            assert default == "required"
        elif field.name not in ("journal", "archive", "operations", "policy"):
            assert msgspec.json.decode(default.strip("`")) == msgspec.json.decode(msgspec.json.encode(field.default))


def test_every_event_of_the_log_stands_there() -> None:
    written = (Path(serve.__file__)).read_text(encoding="utf-8")
    page = (_OPERATING / "watching.md").read_text(encoding="utf-8").partition("\n## The log\n")[2]
    events = {FAULT, *re.findall(r'log\.(?:say|warn)\(\s*"(\w+)"', written)}
    listed = {
        event for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for event in re.findall(r"`(\w+)`", row)
    }
    assert len(events) > 8 and listed - {"event"} == events


def test_every_code_of_the_doctor_stands_there() -> None:
    page = (_OPERATING / "doctor.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE)
    assert listed == [(code.code, str(code.severity)) for code in Code]


def test_every_command_stands_there() -> None:
    page = (_OPERATING / "commands.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `tocsin ([a-z]+(?: [a-z]+){0,2})", page, re.MULTILINE)
    assert sorted(listed) == sorted(command.name for command in commands())


def test_every_page_is_found_by_what_one_sees() -> None:
    index = (_OPERATING / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([a-z-]+\.md)", index))
    assert {path.name for path in _OPERATING.iterdir()} - {"index.md"} <= linked


def test_every_page_with_something_to_type_is_tried() -> None:
    """A page whose indented lines begin with a program is named by a test that does them."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    typed = re.compile(r"^ {4}(tocsin|openssl|psql|cp|mv|litestream|systemctl|pg_basebackup) ", re.MULTILINE)
    for page in _OPERATING.iterdir():
        assert not typed.search(page.read_text(encoding="utf-8")) or f'"{page.name}"' in tests, page.name
