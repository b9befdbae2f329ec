"""What the kernel says of its clock, read by hand from its structure, against its own verdict."""

import ctypes

from tocsin.service.doctor.clock import is_synchronised

_TIME_ERROR = 5
"""What adjtimex(2) returns for a clock that is not synchronised."""


def test_it_is_what_the_kernel_returns() -> None:
    returned = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    assert returned < 0 or is_synchronised() == (returned != _TIME_ERROR)
