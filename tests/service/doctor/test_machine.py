"""What the machine tells: limits as the web server's, swap, cores of a process that forbids them."""

import subprocess
import sys

from tocsin.service.doctor.machine import FILES_NEEDED, plain_swap
from tocsin.web.connection import MAX_CONNECTIONS
from tocsin.web.server import OTHER_FILES

_SWAPS = "Filename\tType\n/dev/zram0 partition\n/dev/dm-1 partition\n/dev/dm-2 partition\n/swap file\n"


def test_the_files_that_a_server_asks_for() -> None:
    assert FILES_NEEDED == 2 * MAX_CONNECTIONS + OTHER_FILES


def test_swap_in_memory_or_encrypted_is_none() -> None:
    kinds = {"dm-1": "CRYPT-PLAIN-swap", "dm-2": "LVM-xyz"}
    assert plain_swap(_SWAPS, lambda name: kinds.get(name, "")) == ["/dev/dm-2", "/swap"]
    assert plain_swap("", lambda name: "") == []


def test_a_process_of_tocsin_leaves_no_cores() -> None:
    """Tried in a process of its own: it can't be taken back."""
    ask = "from tocsin.service.doctor.machine import leaves_cores as l; from tocsin.service.memory import *"
    code = f"{ask}; before = l(); keep_to_itself(); print(before, l())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
