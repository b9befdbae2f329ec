"""`tocsin export`: what is in a GAEN export file, whoever made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from msgspec import Struct

from tocsin.cli import DONE, FAILED
from tocsin.cli.acting import Json
from tocsin.cli.reading import read_file
from tocsin.cli.terminal import InTerminal, Terminal, size
from tocsin.formats.gaen.inspect import MAX_FILE_BYTES, ExportSummary, KeySummary, SignatureSummary
from tocsin.formats.gaen.inspect import inspect as summary_of
from tocsin.formats.gaen.reader import NamedKey
from tocsin.formats.gaen.refusals import ExportInvalid
from tocsin.formats.gaen.signature import PublicKey, parse_public_key
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.times import INTERVAL_SECONDS, utc

_MAX_KEY_BYTES: Final = 65_536

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

    A file that is no export, or one that phones would not take, is refused with a reason; every
    file is looked at. Exit code 1 if a file is refused or can't be read, or if keys are given and
    a file is signed by none of them.

    Example: tocsin export inspect export.zip --key public.pem

    Parameters
    ----------
    files
        The files.
    key
        A public key in PEM, to try the signatures against; may be given several times.
    """
    public_keys = {str(path): _public_key(path) for path in key or ()}
    found = [_inspected(path, public_keys) for path in files]
    for each in found:
        if not json and each.export is not None:
            _tell(terminal, each, keys_given=bool(public_keys))
        if each.trouble is not None:
            terminal.warn(f"{each.file}: {each.trouble}")
    if json:
        terminal.json(found)
    return FAILED if any(each.trouble is not None for each in found) else DONE


class Inspected(Struct, frozen=True):
    """What became of one file. `reason`: the stable word for why it was refused; `trouble`: a sentence for a person.

    `export` is None if it was refused or can't be read; then, or if none of the keys given signed it, there is trouble.
    """

    file: str
    export: ExportSummary | None = None
    reason: str | None = None
    trouble: str | None = None


def _public_key(path: Path) -> PublicKey:
    try:
        return parse_public_key(read_file(path, _MAX_KEY_BYTES))
    except Invalid as invalid:
        raise Invalid(f"{path}: {invalid}; `openssl ec -pubout` makes one of a private key") from None


def _inspected(path: Path, public_keys: Mapping[str, PublicKey]) -> Inspected:
    try:
        summary = summary_of(read_file(path, MAX_FILE_BYTES + 1), public_keys)
    except ExportInvalid as invalid:
        return Inspected(str(path), reason=invalid.reason, trouble=str(invalid))
    except Unavailable as unavailable:
        return Inspected(str(path), reason="unreadable", trouble=str(unavailable))
    if not public_keys or any(signature.verified_by for signature in summary.signatures):
        return Inspected(str(path), summary)
    named = ", ".join(_name(signature.named_key) for signature in summary.signatures)
    trouble = f"signed by none of the keys given; it names {named}" if named else "no signature in the file"
    return Inspected(str(path), summary, trouble=trouble)


def _tell(terminal: Terminal, found: Inspected, *, keys_given: bool) -> None:
    summary = found.export
    assert summary is not None
    terminal.line(found.file)
    terminal.facts(
        (
            ("  file", f"{summary.container}, export.bin of {size(summary.export_bin_bytes)}"),
            ("  SHA-256", summary.export_bin_sha256),
            ("  region", summary.region or "-"),
            ("  window", f"{utc(summary.start_timestamp)} to {utc(summary.end_timestamp)}"),
            ("  batch", f"{summary.batch_num} of {summary.batch_size}"),
            *(("  names key", _named(info)) for info in summary.signature_infos),
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


def _name(named: NamedKey) -> str:
    """Id and version of a key."""
    return f"{named.key.verification_key_id or '-'} {named.key.verification_key_version or '-'}"


def _named(named: NamedKey) -> str:
    """A signature info of export.bin: all that it says."""
    return ", ".join(filter(None, (_name(named), named.algorithm, named.app_bundle_id, named.android_package)))


def _signature(signature: SignatureSummary, keys_given: bool) -> str:
    """Whose it is, whether it is good, and its form."""
    tried = "by none of the keys given" if keys_given else "not checked, no --key was given"
    verdict = f"good, by {', '.join(signature.verified_by)}" if signature.verified_by else tried
    batch = f"{_or_dash(signature.batch_num)} of {_or_dash(signature.batch_size)}"
    return f"{_name(signature.named_key)}: {verdict}; {signature.form}, {signature.bytes} bytes, batch {batch}"


def _or_dash(number: int | None) -> str:
    return "-" if number is None else str(number)
