"""The client's network: one post, one fetch, over httpx, which nothing else here knows of."""

from collections.abc import Callable

import httpx

from tocsin.formats.wire import ANSWER_BYTES
from tocsin.model.errors import Unavailable

TIMEOUT_SECONDS = 30
_HEADERS = {"accept-encoding": "identity"}  # sizes on the wire are promises: nothing is compressed


def post(url: str, body: bytes) -> bytes:
    """The answer to a call. Raises `Unavailable`: the same bytes may be posted again."""
    headers = {**_HEADERS, "content-type": "application/json"}
    return _read("POST", url, ANSWER_BYTES, content=body, headers=headers)


def fetcher(bucket_url: str) -> Callable[[str, int], bytes]:
    """A `tocsin.client.sync.Fetch` for the objects below this address."""
    return lambda name, most_bytes: _read("GET", f"{bucket_url}/{name}", most_bytes, headers=_HEADERS)


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
