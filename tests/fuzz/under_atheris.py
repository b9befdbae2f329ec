"""One target under atheris: ``python -m tests.fuzz.under_atheris TARGET [libFuzzer's arguments]``.

Only our own modules are instrumented, so that the fuzzer follows our branches and not the libraries'.
"""

import sys

import atheris

with atheris.instrument_imports(include=["tocsin"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Runs until libFuzzer's arguments say stop. It ends the process; a finding ends it with another status than 0."""
    name = sys.argv.pop(1)
    target = TARGETS[name]

    def one(data: bytes) -> None:
        target.takes(data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
