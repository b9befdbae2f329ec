"""The conventional index: its few bytes."""

import pytest

from tocsin.formats.gaen.index import encode_index, index_name
from tocsin.model.errors import Invalid


def test_no_file_no_bytes_and_no_final_line_feed() -> None:
    assert encode_index([]) == b""
    assert encode_index(["a/1.zip"]) == b"a/1.zip"
    assert encode_index(["a/2.zip", "a/1.zip"]) == b"a/2.zip\na/1.zip"
    assert index_name("xx") == "v1/xx/gaen/index.txt"


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a b", "a\nb", "ä", "a?b", "https://x/a"])
def test_what_is_no_plain_path(path: str) -> None:
    with pytest.raises(Invalid):
        encode_index([path])


def test_a_file_twice() -> None:
    with pytest.raises(Invalid):
        encode_index(["a", "a"])
