"""Equal on the wire: real reports, decoys and every refusal, interleaved at random, and tests that try to tell them.

`make equal` runs it all and prints the tables that ``docs/privacy.md`` holds. Read `stock` (the site, and the calls of
every kind), `server` (a process, with seams for bad days), `line` and `load` (what posts, and what is seen of each
answer), `told` (the two-sample tests and their power), `tables`, `conditions`, `__main__`.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads that wait for each other by spinning are slower than one
