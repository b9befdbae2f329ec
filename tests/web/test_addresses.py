"""Whence a call comes: the N-th entry from the right, and nothing that a stranger wrote (case 25, T-D7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.web.addresses import NOWHERE, Caller, caller_of_call, caller_of_peer

PEER = "198.51.100.9"


def of(*lines: str, proxies: int) -> Caller:
    headers = [(b"host", b"x"), *((b"x-forwarded-for", line.encode("latin-1")) for line in lines)]
    return caller_of_call(PEER, headers, proxies)


def ip4(*numbers: int) -> Caller:
    return Caller(bytes(numbers), bytes(numbers))


ADA, PROXY = ip4(192, 0, 2, 7), ip4(198, 51, 100, 9)


@pytest.mark.parametrize(
    ("lines", "proxies", "caller"),
    [
        (["192.0.2.7"], 0, PROXY),
        (["192.0.2.7"], 1, ADA),
        (["192.0.2.7, 203.0.113.1"], 2, ADA),
        (["192.0.2.7", "203.0.113.1"], 2, ADA),
        (["192.0.2.7, 203.0.113.1", "203.0.113.2"], 3, ADA),
        (["10.0.0.1, 192.0.2.7"], 1, ADA),
        (["10.0.0.1", "10.0.0.2,192.0.2.7 ,\t203.0.113.1"], 2, ADA),
        (["192.0.2.7:4711"], 1, ADA),
        (["::ffff:192.0.2.7"], 1, ADA),
        (["[::ffff:192.0.2.7]:4711"], 1, ADA),
        ([], 1, PROXY),
        (["192.0.2.7"], 2, PROXY),
        ([""], 1, PROXY),
        (["192.0.2.7,"], 1, PROXY),
        (["unknown"], 1, PROXY),
        (["192.0.2.7, unknown"], 1, PROXY),
        (["192.0.2.256"], 1, PROXY),
        (["192.0.2.07"], 1, PROXY),
        (["192.0.2.7.1"], 1, PROXY),
        (["192.0.2.7 10.0.0.1"], 1, PROXY),
        (["\xb2.1.1.1"], 1, PROXY),
        (["1" * 5000], 1, PROXY),
        (["," * 5000], 1, PROXY),
    ],
)
def test_the_entry_that_the_farthest_trusted_proxy_wrote(lines: list[str], proxies: int, caller: Caller) -> None:
    assert of(*lines, proxies=proxies) == caller


@given(
    spoofed=st.lists(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40), max_size=5),
    proxies=st.integers(1, 3),
)
def test_nothing_that_a_caller_sends_changes_who_it_is(spoofed: list[str], proxies: int) -> None:  # case 25
    """Each proxy adds the address that it saw: the first to the right of whatever the caller sent is the caller's."""
    seen = ["192.0.2.7", "203.0.113.1", "203.0.113.2"][:proxies]
    assert of(*spoofed, ", ".join(seen), proxies=proxies) == ADA
    assert of(", ".join([*spoofed, *seen]), proxies=proxies) == ADA
    assert of(*spoofed, proxies=0) == PROXY


def test_an_ipv6_caller_is_its_64_in_its_48() -> None:
    one = caller_of_peer("2001:db8:1:2:3:4:5:6")
    assert one == Caller(bytes.fromhex("20010db800010002"), bytes.fromhex("20010db80001"))
    assert one == caller_of_peer("2001:db8:1:2::") == of("[2001:db8:1:2::77]:4711", proxies=1)
    assert caller_of_peer("2001:db8:1:3::").network == one.network
    assert caller_of_peer("2001:db8:2:2::").network != one.network
    assert caller_of_peer("fe80::1%eth0") == caller_of_peer("fe80::2")


def test_a_peer_without_an_address_is_nowhere() -> None:
    assert caller_of_peer(None) == caller_of_peer("") == caller_of_call(None, [], 1) == NOWHERE
