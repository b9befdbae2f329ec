"""The tree of commands, as `tocsin` itself builds it: for tests that hold for every command there is or will be."""

from collections.abc import Iterator

from cyclopts import App
from cyclopts.argument import Argument
from msgspec import Struct

from tocsin.cli import _app


class Command(Struct, frozen=True, eq=False):
    """A command: its words, and the parameters that a person may give."""

    words: tuple[str, ...]
    parameters: tuple[Argument, ...]

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def options(self) -> set[str]:
        return {parameter.name for parameter in self.parameters}


def commands() -> list[Command]:
    """Every command, groups left out."""
    return list(_below(_app(asked_for=""), ()))


def _below(app: App, words: tuple[str, ...]) -> Iterator[Command]:
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        path = (*words, name)
        if command.default_command is not None:
            parameters = command.assemble_argument_collection()
            yield Command(path, tuple(each for each in parameters if each.parse and each.name != "*"))
        yield from _below(command, path)
