"""Byte strings in JSON: unpadded base64url (RFC 4648 §5), canonical, or refused."""

import binascii
from typing import Final

from tocsin.model.errors import Invalid

_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/...")
"""Dots stand for what is no symbol here; the strict decoder refuses them."""
_FROM_STANDARD: Final = bytes.maketrans(b"+/", b"-_")
_LAST: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
"""Symbols that leave no spare bit set, by the length of the last group."""

_PADDING: Final = (b"", b"===", b"==", b"=")


def encode(data: bytes) -> str:
    """`data` as unpadded base64url.

    >>> encode(b"\\xff\\xfe")
    '__4'
    """
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of canonical, unpadded base64url.

    Raises `Invalid` for padding, foreign symbols, impossible lengths and spare bits that are not zero.

    >>> decode("__4")
    b'\\xff\\xfe'
    """
    last = len(text) % 4
    try:
        standard = text.encode("ascii").translate(_TO_STANDARD) + _PADDING[last]
        data = binascii.a2b_base64(standard, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Invalid("not base64url") from None
    if last and text[-1] not in _LAST[last]:
        raise Invalid("not canonical base64url")
    return data


def decode_exactly(text: str, length: int) -> bytes:
    """As `decode`, and exactly `length` bytes, or `Invalid`."""
    data = decode(text)
    if len(data) != length:
        raise Invalid(f"not {length} bytes")
    return data
