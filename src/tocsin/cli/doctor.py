"""`tocsin doctor`: whether everything is sound that the deployment stands on."""

from contextlib import closing

from tocsin.cli.acting import DEFAULT_DATA, Data, Json
from tocsin.cli.fetch import seen
from tocsin.cli.terminal import InTerminal, counted
from tocsin.service.doctor.examination import CHECKS, examine
from tocsin.service.doctor.finding import Severity
from tocsin.service.doctor.subject import Subject


def doctor(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> int:
    """Look whether everything is sound that the deployment stands on. Changes nothing; runs beside a server.

    Exit code 1 if something is wrong, 0 if not, also with warnings. Every code it tells, and what to do:
    docs/operating/doctor.md. The whole journal is proven by tocsin journal verify.

    Example: tocsin doctor --data /srv/tocsin
    """
    with closing(Subject(data, terminal.clock, seen)) as subject:
        found = examine(subject)
    wrong = [each for each in found if each.code.severity is Severity.WRONG]
    warnings = [each for each in found if each.code.severity is Severity.WARNING]
    if json:
        findings = [
            {"code": each.code.code, "severity": each.code.severity, "sentence": each.sentence}
            for each in (*wrong, *warnings)
        ]
        terminal.json({"sound": not wrong, "findings": findings})
        return int(bool(wrong))
    terminal.facts(("!", f"{each.code.code}: {each.sentence}") for each in wrong)
    terminal.facts(("-", f"{each.code.code}: {each.sentence}") for each in warnings)
    terminal.say(
        f"{'NOT SOUND' if wrong else 'Sound'}: {counted(len(wrong), 'thing')} wrong,"
        f" {counted(len(warnings), 'warning')}. Looked at: {', '.join(name for name, _ in CHECKS)}."
    )
    return int(bool(wrong))
