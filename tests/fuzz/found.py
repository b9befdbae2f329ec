"""What fuzzing has found, as the bytes that did it: target → hexadecimal. Each was seen to fail, and is replayed."""

from typing import Final

FOUND: Final[dict[str, tuple[str, ...]]] = {
    # A text with a lone surrogate left `sign_note` as UnicodeEncodeError.
    "note_text": ("ff0a",),
    # The name of a key with half a character in it left `parse_verifier` as UnicodeEncodeError.
    "vkey": ("ff2b30303030303030302b" + b"AWG3op9v3HIXXDPBmFc/0CioJHhGCXc+pyvvFPlBZdYO".hex(),),
    # Zeros before a length, more than Python reads as a number: a call so sent was answered 500.
    "headers": ((b"content-type: application/json\ncontent-length: " + b"0" * 5000 + b"4096").hex(),),
    # A name that is no UTF-8: a phone whose schedule was damaged never called again.
    "schedule": (b'{"\xff":1}'.hex(),),
    # A member that needs version 11.8 of the zip format: read here, refused by Python.
    "gaen_zip": (
        "504b0304140000000000000021000000000000000000000000000a0000006578706f72742e736967504b0102140076000000"
        "0000000021000000000000000000000000000a00000000000000000000000000000000006578706f72742e736967504b0506"
        "000000000100010038000000280000000000",
    ),
    # Whatever Python reads as a number counted as the last sequence: a sign, underscores, 21 digits.
    "turn": ("2d350a", "315f300a", "39" * 21),
}
