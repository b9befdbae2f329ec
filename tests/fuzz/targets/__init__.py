"""Every target, by its name. A new decoder of foreign bytes gets one: `tests.fuzz.test_inventory` asks for it."""

from typing import Final

from tests.fuzz.target import Target
from tests.fuzz.targets import calls, checkpoints, exports, handed, heads, journals, keysets

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for room in (calls, keysets, heads, exports, journals, checkpoints, handed)
    for target in room.TARGETS
}
