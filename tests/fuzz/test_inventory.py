"""No decoder of foreign bytes is without a target: found by name, as the house calls them, and on the page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.apart import APART
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
VERB = re.compile(r"(decode|parse|read|load|split|open|unseal|hint|seems)(_|$)")
"""How functions that read bytes from outside are called here."""
FOREIGN = re.compile(r"\b(bytes|str|Path|Headers|memoryview|Folders)\b")


def found_by_name() -> Iterator[str]:
    """Public functions and methods whose name says that they read, and whose first argument may be foreign."""
    for path in sorted((ROOT / "src" / "tocsin").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for above, node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            arguments = [each for each in node.args.args if each.arg not in ("self", "cls")]
            if arguments and VERB.match(node.name) and FOREIGN.search(ast.unparse(arguments[0].annotation or node)):
                yield f"{module}.{above}{node.name}"


def functions(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.", each) for each in node.body if isinstance(each, ast.FunctionDef))


def test_every_decoder_has_a_target_or_a_reason() -> None:
    named = {decoder for target in TARGETS.values() for decoder in target.decoders}
    assert not named & APART.keys()
    unnamed = sorted(set(found_by_name()) - named - APART.keys())
    assert not unnamed, (
        "these read bytes from outside: give each a target in tests/fuzz/targets, or a reason in apart.py"
    )


def test_what_is_named_exists() -> None:
    for name in [*APART, *(decoder for target in TARGETS.values() for decoder in target.decoders)]:
        module, _, function = name.rpartition(".")
        if module.rpartition(".")[2][:1].isupper():
            module, _, function = name.rpartition(".")[0].rpartition(".")[0], "", name.rpartition(".")[2]
        source = (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
        assert re.search(rf"def {function}\(", source), name


def test_the_page_has_a_row_for_each_target() -> None:
    page = (ROOT / "docs" / "fuzzing.md").read_text(encoding="utf-8")
    rows = {row[1]: row[0] for row in re.finditer(r"(?m)^\| `(\w+)` \|.*$", page)}
    assert sorted(rows) == sorted(TARGETS)
    for name, target in TARGETS.items():
        for decoder in target.decoders:
            assert f"`{decoder.removeprefix('tocsin.')}`" in rows[name], (name, decoder)
