"""Google's published numbers, carried over into ``tests/vectors``."""

import json
from pathlib import Path
from typing import Any

GAEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "gaen_crypto.json").read_text(encoding="ascii")
)
CRYPTO: dict[str, Any] = GAEN["crypto"]
MATCHING: dict[str, Any] = GAEN["matching"]
