"""`tocsin export`: what is in a GAEN export file, whoever made it."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tocsin.cli.acting import Json
from tocsin.cli.reading import read_file
from tocsin.cli.terminal import InTerminal, Terminal, size
from tocsin.formats.gaen.inspect import ExportSummary, KeySummary, SignatureSummary
from tocsin.formats.gaen.inspect import inspect as summary_of
from tocsin.formats.gaen.signature import parse_public_key
from tocsin.model.errors import Invalid
from tocsin.model.times import INTERVAL_SECONDS, utc

app = App(name="export", help="GAEN export files: what phones of Apple and Google download.")


@app.command
def inspect(
    files: Annotated[list[Path], Parameter(name="FILE")],
    /,
    *,
    key: list[Path] | None = None,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """Show what export files hold: zips, or a bare export.bin. Reads only; needs no deployment.

    Exit code 1 if a file can't be read, or if keys are given and a file is signed by none of them.

    Example: tocsin export inspect export.zip --key public.pem

    Parameters
    ----------
    files
        The files.
    key
        A public key in PEM, to try the signatures against; may be given several times.
    """
    public_keys = {str(path): parse_public_key(read_file(path)) for path in key or ()}
    code = 0
    found: list[dict[str, object]] = []
    for path in files:
        try:
            summary = summary_of(read_file(path), public_keys)
        except Invalid as invalid:
            code = 1
            terminal.warn(f"{path}: {invalid}")
            continue
        signed = any(signature.verified_by for signature in summary.signatures)
        if public_keys and not signed:
            code = 1
            terminal.warn(f"{path}: signed by none of the keys given")
        found.append({"file": str(path), "export": summary})
        if not json:
            _tell(terminal, path, summary, keys_given=bool(public_keys))
    if json:
        terminal.json(found)
    return code


def _tell(terminal: Terminal, path: Path, summary: ExportSummary, *, keys_given: bool) -> None:
    terminal.line(str(path))
    terminal.facts(
        (
            ("  file", f"{summary.container}, export.bin of {size(summary.export_bin_bytes)}"),
            ("  SHA-256", summary.export_bin_sha256),
            ("  region", summary.region or "-"),
            ("  window", f"{utc(summary.start_timestamp)} to {utc(summary.end_timestamp)}"),
            ("  batch", f"{summary.batch_num} of {summary.batch_size}"),
            *_key_facts("keys", summary.keys),
            *_key_facts("revised keys", summary.revised_keys),
            *(("  signature", _signature(signature, keys_given)) for signature in summary.signatures),
            *(("  remark", remark) for remark in summary.remarks),
        )
    )


def _key_facts(name: str, keys: KeySummary) -> list[tuple[str, str]]:
    facts = [
        (f"  {name}", f"{keys.count:,}" + ("" if keys.distinct == keys.count else f", {keys.distinct:,} distinct"))
    ]
    if keys.first_start_interval is None or keys.last_start_interval is None:
        return facts
    first, last = (at * INTERVAL_SECONDS for at in (keys.first_start_interval, keys.last_start_interval))
    return [
        *facts,
        ("  - starts", f"{utc(first)} to {utc(last)}; {keys.starts_at_utc_midnight:,} at midnight UTC"),
        ("  - types", _table(keys.report_types)),
        ("  - periods", _table(keys.rolling_periods)),
        ("  - risk", _table(keys.transmission_risk_levels)),
        ("  - onset", _table(keys.days_since_onset)),
    ]


def _table(counts: dict[str, int]) -> str:
    """Values, each with its number of keys; the commonest first, at most eight of them."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{value} ({count:,})" for value, count in ordered[:8])
    return shown if len(ordered) <= 8 else f"{shown}, and {len(ordered) - 8} other values"


def _signature(signature: SignatureSummary, keys_given: bool) -> str:
    named = signature.named_key.key
    name = f"{named.verification_key_id or '-'} {named.verification_key_version or '-'}"
    if signature.verified_by:
        return f"{name}: good, by {', '.join(signature.verified_by)}"
    tried = "by none of the keys given" if keys_given else "not checked, no --key was given"
    return f"{name}: {tried}"
