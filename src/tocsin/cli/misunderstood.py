"""A command that was not understood, in words of ours: which word it was about, and what stands there."""

from collections.abc import Sequence

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError, ValidationError


class EmptyWord(Exception):
    """A word of the command line is empty, or holds what no word can. The sentence names the option."""


def refuse_empty_words(words: Sequence[str]) -> None:
    """Raises `EmptyWord`: an empty argument is mostly a variable of a script that was not set, and never meant.

    >>> refuse_empty_words(["pause", "--why", ""])
    Traceback (most recent call last):
    tocsin.cli.misunderstood.EmptyWord: --why is empty: give it a value, or leave it out.
    """
    before = ""
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        named = option if len(option) > 2 else "An argument"
        if equals and not value:
            raise EmptyWord(f"{named} is empty: give it a value, or leave it out.")
        if "\0" in word:
            raise EmptyWord(f"{named} holds a NUL character, which no text or name has.")
        before = word if word.startswith("--") else ""


def sentence(error: CycloptsError) -> str:
    """What was not understood, as a sentence."""
    match error:
        case MissingArgumentError(argument=argument) if argument is not None:
            given = error.keyword is not None or bool(argument.tokens)
            return f"{error.keyword or argument.name} {'needs a value' if given else 'is missing'}."
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            return f'There is a word too many, "{word}". A text with spaces stands in quotes.'
        case CoercionError(msg=str(msg), token=token) if token is not None:
            named = token.keyword or (error.argument.name if error.argument else "An argument")
            return f"{named}: {msg}"
        case ValidationError(group=group) if group is not None:
            return error.exception_message
        case _:
            return " ".join(str(error).split())
