"""Byte strings in JSON: unpadded base64url (RFC 4648 §5), canonical, or refused."""

import base64
import binascii

from tocsin.model.errors import Invalid


def encode(data: bytes) -> str:
    """`data` as unpadded base64url.

    >>> encode(b"\\xff\\xfe")
    '__4'
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of canonical, unpadded base64url.

    Raises `Invalid` for padding, foreign symbols, impossible lengths and spare bits that are not zero.

    >>> decode("__4")
    b'\\xff\\xfe'
    """
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Invalid("not base64url") from None
    if encode(data) != text:
        raise Invalid("not canonical base64url")
    return data


def decode_exactly(text: str, length: int) -> bytes:
    """As `decode`, and exactly `length` bytes, or `Invalid`."""
    data = decode(text)
    if len(data) != length:
        raise Invalid(f"not {length} bytes")
    return data
