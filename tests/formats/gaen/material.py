"""What the tests of the GAEN format share: vectors, foreign figures, and keys drawn by Hypothesis."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from tocsin.formats.gaen.signature import PublicKey, parse_public_key
from tocsin.model.keys import NO_ONSET, RECORD, Records

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "gaen.json").read_text(encoding="ascii")
)
LABELS: Final = {
    "CWA 262 v1": "cwa-262-v1-public",
    "google examples/export/public.pem": "google-example-public",
    "google internal/api/export/sample/public.pem": "google-sample-public",
    "cwa-server certificate.crt (CWA Test Client Certificate)": "cwa-test-client-public",
}
"""The manifest's words for a key → the name of its file."""

Row = tuple[bytes, int, int, int, int, int]

rows = st.tuples(
    st.binary(min_size=16, max_size=16),
    st.integers(1, 2**31 - 1) | st.sampled_from([1, 127, 128, 16_383, 16_384, 2_649_024, 2**31 - 1]),
    st.integers(1, 144) | st.sampled_from([127, 128]),
    st.sampled_from([1, 2, 3, 5]),
    st.integers(-14, 14) | st.sampled_from([NO_ONSET, -127, 127]),
    st.integers(0, 8),
)
"""Sound keys, as rows of `RECORD`."""
tables = st.lists(rows, max_size=12).map(lambda drawn: np.array(drawn, RECORD))


def manifest(shared: Path) -> dict[str, dict[str, Any]]:
    """What an independent reader found in each foreign file, by name."""
    entries = json.loads((shared / "data" / "manifest.json").read_text(encoding="utf-8"))
    return {entry["file"]: entry for entry in entries}


def public_keys(shared: Path) -> dict[str, PublicKey]:
    """The published keys, by the names of their files."""
    return {path.stem: parse_public_key(path.read_bytes()) for path in (shared / "data" / "keys").glob("*.pem")}


def vector_records(keys: list[dict[str, Any]], key_bytes: int = 16) -> Records:
    """The keys of a vector as records; a field that is not on the wire takes its default."""
    columns: list[tuple[str, Any]] = [(name, RECORD[name]) for name in RECORD.names or ()]
    dtype = np.dtype([("key_data", f"V{key_bytes}"), *columns[1:]])
    return np.array(
        [
            (
                bytes.fromhex(key["key_data"]),
                key["rolling_start_interval_number"],
                144 if key["rolling_period"] is None else key["rolling_period"],
                key["report_type"],
                NO_ONSET if key["days_since_onset_of_symptoms"] is None else key["days_since_onset_of_symptoms"],
                key["transmission_risk_level"],
            )
            for key in keys
        ],
        dtype,
    )
