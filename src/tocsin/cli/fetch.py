"""The client's network: one post, one fetch, over httpx, which nothing else here knows of."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from tocsin.formats.wire import ANSWER_BYTES
from tocsin.model.errors import Unavailable
from tocsin.service.doctor.subject import Seen

TIMEOUT_SECONDS = 30
LOOK_SECONDS = 1.5
MOST_SEEN_BYTES = 1 << 16
_HEADERS = {"accept-encoding": "identity"}  # sizes on the wire are promises: nothing is compressed


def post(url: str, body: bytes) -> bytes:
    """The answer to a call. Raises `Unavailable`: the same bytes may be posted again."""
    headers = {**_HEADERS, "content-type": "application/json"}
    return _read("POST", url, ANSWER_BYTES, content=body, headers=headers)


def fetcher(bucket_url: str) -> Callable[[str, int], bytes]:
    """A `tocsin.client.sync.Fetch` for the objects below this address."""
    return lambda name, most_bytes: _read("GET", f"{bucket_url}/{name}", most_bytes, headers=_HEADERS)


def seen(url: str) -> Seen:
    """What stands behind `url`, and what time its machine has. Raises `Unavailable`: nobody answers, or not in time."""
    try:
        with httpx.stream("GET", url, headers=_HEADERS, timeout=LOOK_SECONDS) as response:
            body = next(response.iter_raw(MOST_SEEN_BYTES), b"")
            return Seen(response.status_code, _clock_at(response.headers), body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError, ImportError):
        raise Unavailable(f"{url} does not answer") from None


def _clock_at(headers: httpx.Headers) -> int | None:
    """The answering machine's clock: `Date`, and how long a cache has had the answer (RFC 9110 §6.6.1, 9111 §5.1)."""
    age = headers.get("age", "0")
    try:
        at = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return int(at) + (int(age) if age.isascii() and age.isdecimal() and len(age) < 10 else 0)


def _read(method: str, url: str, most_bytes: int, *, headers: dict[str, str], content: bytes | None = None) -> bytes:
    """The body of the answer: at most one byte more than `most_bytes`, so that one too long is seen to be."""
    try:
        with httpx.stream(method, url, headers=headers, content=content, timeout=TIMEOUT_SECONDS) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                raise Unavailable(
                    "The server has no such file: perhaps its first version is not out yet; one is made each"
                    " quarter-hour."
                )
            if response.status_code != httpx.codes.OK:
                raise Unavailable(f"The server answered {response.status_code}: try again later.")
            data = bytearray()
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > most_bytes:
                    break
            return bytes(data[: most_bytes + 1])
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        ValueError,
        OSError,
        ImportError,
    ):  # the latter for what the variables say
        raise Unavailable(
            "The server can't be reached: see that it runs, that the trust file is its own, and what HTTP_PROXY and"
            " SSL_CERT_FILE say, if they are set."
        ) from None
