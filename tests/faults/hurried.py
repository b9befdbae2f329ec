"""`tocsin`, run as a process that waits less for its clients: ``python -m tests.faults.hurried SECONDS WORDS…``."""

import sys

from tocsin.cli import main
from tocsin.service.clock import SystemClock
from tocsin.web import connection

if __name__ == "__main__":
    seconds, *words = sys.argv[1:]
    vars(connection).update(RECEIVE_SECONDS=float(seconds), SEND_SECONDS=float(seconds))
    sys.exit(main(words, SystemClock()))
