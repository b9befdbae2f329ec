"""The entry, as the command `tocsin` and as `python -m tocsin`."""

import signal
import sys
from types import TracebackType
from typing import NoReturn


def run() -> NoReturn:
    """Runs the command of this process's words, and ends the process with its exit code.

    Ctrl-C while the program is still being loaded, or is at its end, kills it at once, as it does any program: nothing
    was begun, or all is done, and a traceback would tell nobody anything. In between the command answers for itself.
    """
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it was started to ignore Ctrl-C
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tocsin.cli import main
    from tocsin.service.memory import keep_to_itself

    sys.excepthook = _tell_fault
    keep_to_itself()  # every command may read secrets
    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = main()
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The type and place of what nobody foresaw. Its message could hold a code, a key or a path of a phone."""
    from tocsin.service import fault

    print(f"tocsin: a fault in tocsin itself ({fault.told(error)}): please report it", file=sys.stderr)


if __name__ == "__main__":
    run()
