"""From a story to versions: what tests of publication share."""

from collections.abc import Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.builders import Story
from tests.sites import drawn
from tocsin.ledger.queries import live_rows
from tocsin.model.events import FileSpec, MadeFile, Move, Published
from tocsin.model.keys import KeyKind, Records
from tocsin.model.policy import Policy, SignatureInfo
from tocsin.model.times import QUARTER_SECONDS, Day
from tocsin.publication.build import Built, build
from tocsin.publication.plan import plan
from tocsin.publication.release import release, released
from tocsin.publication.sign import GaenKey, SigningKeys, sign
from tocsin.service.key_folder import GaenSigner
from tocsin.transparency.note import NoteVerifier

PROMPT = Policy(minimum_reports=1, hold_back_quarters=0)
"""Whatever is eligible goes out at the next step."""


def step(story: Story, seconds: int = QUARTER_SECONDS, files: tuple[MadeFile, ...] | None = None) -> Published:
    """The version that is decided after `seconds`; `files`: those of the version before, where they are at hand."""
    if files is None:
        files = build(story.ledger).made if story.ledger.versions else ()
    story.wait(seconds)
    draft = plan(story.ledger, story.policy, story.now, 1, files)
    assert draft is not None
    assert isinstance(draft.body, Published)
    story.append(draft)
    return draft.body


def public_records(story: Story) -> Records:
    """The public set of the newest version."""
    ledger = story.ledger
    return ledger.keys[KeyKind.GAEN]["record"][live_rows(ledger.keys[KeyKind.GAEN], Day(ledger.versions[-1].first_day))]


def public(story: Story) -> set[bytes]:
    """The keys of the newest version."""
    return set(public_records(story)["key_data"].tolist())


def moved(moves: tuple[Move, ...]) -> dict[int, set[int]]:
    """Report → positions."""
    return {move.report: {bit for bit in range(32) if move.mask >> bit & 1} for move in moves}


def made(body: Published) -> dict[tuple[str, str], FileSpec]:
    """The files of a version by profile and kind."""
    return {(spec.profile, spec.kind): spec for spec in body.files}


HEAD_KEY = Ed25519PrivateKey.from_private_bytes(drawn("head key"))
HEAD_VERIFIER = NoteVerifier("tocsin.example/utopia", HEAD_KEY.public_key().public_bytes_raw())
GAEN_KEY = ec.derive_private_key(int.from_bytes(drawn("gaen key")), ec.SECP256R1())
OTHER_GAEN_KEY = ec.derive_private_key(int.from_bytes(drawn("other gaen key")), ec.SECP256R1())
OLD_INFO, NEW_INFO = SignatureInfo("310", "v1"), SignatureInfo("310", "v2")


def gaen_key(key: ec.EllipticCurvePrivateKey) -> GaenKey:
    """Both halves of a GAEN key."""
    return GaenKey(GaenSigner(key), key.public_key())


SIGNING_KEYS = SigningKeys(HEAD_KEY, HEAD_VERIFIER, {OLD_INFO: gaen_key(GAEN_KEY), NEW_INFO: gaen_key(OTHER_GAEN_KEY)})


class MemoryBucket:
    """A bucket that is a dictionary, and remembers what was asked of it, in order."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.asked: list[tuple[str, str]] = []
        self.written_at: dict[str, int] = {}
        """When objects were written, where a test says so; long ago else."""

    def create(self, name: str, data: bytes) -> bool:
        self.asked.append(("create", name))
        made = name not in self.objects
        self.objects.setdefault(name, data)
        return made

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        self.asked.append(("replace", name))
        swapped = self.objects.get(name) == expected
        if swapped:
            self.objects[name] = data
        return swapped

    def read(self, name: str) -> bytes | None:
        self.asked.append(("read", name))
        return self.objects.get(name)

    def listed(self) -> Iterator[tuple[str, int]]:
        self.asked.append(("listed", ""))
        yield from [(name, self.written_at.get(name, 0)) for name in self.objects]

    def remove(self, name: str) -> None:
        self.asked.append(("remove", name))
        self.objects.pop(name, None)

    def length(self, name: str) -> int | None:
        self.asked.append(("length", name))
        return len(self.objects[name]) if name in self.objects else None


class Press:
    """A story whose versions are decided, built, signed and released, each as it comes."""

    def __init__(self, policy: Policy = PROMPT, bucket: MemoryBucket | None = None) -> None:
        self.story = Story(policy)
        self.bucket = bucket if bucket is not None else MemoryBucket()
        self._made: tuple[MadeFile, ...] = ()

    def decide(self, seconds: int = QUARTER_SECONDS) -> Built:
        """The next version, built and not signed."""
        body = step(self.story, seconds, self._made)
        built = build(self.story.ledger)
        assert built.leaf.version == body.version
        self._made = built.made
        return built

    def publish(self, seconds: int = QUARTER_SECONDS) -> Built:
        """The next version, which is out when this returns."""
        built = self.decide(seconds)
        release(sign(built, SIGNING_KEYS), self.bucket, released(self.bucket, HEAD_VERIFIER))
        return built
