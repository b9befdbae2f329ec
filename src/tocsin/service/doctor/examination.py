"""The examination: every check once, each by itself. One that raises or does not end stops no other."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tocsin.model.errors import TocsinError
from tocsin.service import fault
from tocsin.service.doctor import (
    appending,
    archive,
    bucket,
    clock,
    configuration,
    day_keys,
    disks,
    engine,
    events,
    key_files,
    machine,
    public_address,
    spool,
    trust_file,
    writers,
)
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject

Check = Callable[[Subject], Iterable[Finding]]

DEADLINE_SECONDS: Final = 8.0
"""For one check: what waits longer hangs on a disk, or on a server. All together take less than a second otherwise."""
SHORT_SECONDS: Final = 1.0
"""For each of the others once one has hung: most need the same disk."""

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("settings", configuration.look),
    ("journal", engine.look),
    ("appending", appending.look),
    ("events", events.look),
    ("spool", spool.look),
    ("archive", archive.look),
    ("clock", clock.look),
    ("disks", disks.look),
    ("key files", key_files.look),
    ("day keys", day_keys.look),
    ("trust.json", trust_file.look),
    ("bucket", bucket.look),
    ("other publishers", writers.look),
    ("public address", public_address.look),
    ("machine", machine.look),
)
"""What is looked at, in the order in which it is told."""


def examine(
    subject: Subject,
    checks: Sequence[tuple[str, Check]] = CHECKS,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> tuple[Finding, ...]:
    """Everything found, in the order of the checks; what was not looked at, and why, at the end. Raises nothing."""
    found: list[Finding] = []
    unseen: dict[str, list[str]] = {}
    for name, check in checks:
        of_this = _Findings(name)
        thread = threading.Thread(target=of_this.gather, args=(check, subject), name=f"doctor: {name}", daemon=True)
        thread.start()
        thread.join(deadline_seconds)
        if thread.is_alive():
            deadline_seconds = min(deadline_seconds, SHORT_SECONDS)
            hangs = f"The check of {name} does not end: a disk or a server that it needs hangs, or is very slow."
            found.append(Finding(Code.CHECK_FAILED, hangs))
        found += list(of_this.found)
        if of_this.unseen is not None:
            unseen.setdefault(of_this.unseen, []).append(name)
    found += (Finding(Code.NOT_LOOKED_AT, f"Not looked at: {', '.join(names)}. {why}") for why, names in unseen.items())
    return tuple(found)


class _Findings:
    """What one check found, as far as it came. `unseen`: why it could not look further, because of another part."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.found: list[Finding] = []
        self.unseen: str | None = None

    def gather(self, check: Check, subject: Subject) -> None:
        """Runs the check. Raises nothing."""
        try:
            for finding in check(subject):
                self.found.append(finding)
        except TocsinError as error:
            self.unseen = in_full(error)
        except Exception as error:  # a bug, or a machine unlike any that we know: the other checks are worth having
            told = f"The check of {self._name} failed by a fault of its own ({fault.told(error)}): please report it."
            self.found.append(Finding(Code.CHECK_FAILED, told))
