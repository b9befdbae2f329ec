"""Public files that nothing names go; whatever a phone can be led to stays. Case 46, from its other end."""

from tests.builders import day_key
from tests.publication.press import PROMPT, Press
from tocsin.formats.gaen.index import index_name
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant
from tocsin.publication.build import build
from tocsin.publication.in_force import damaged, named_files
from tocsin.publication.index import index_of, path_of
from tocsin.publication.prune import MOST_AT_ONCE, kept_seconds, prune

NOW_SECONDS = 40 * DAY_SECONDS


def pressed(days: int = 3) -> Press:
    """A bucket with several versions a day, each with a new key, and when each file was written."""
    press = Press()
    press.story.batch(count=1000)
    for number in range(4 * days):
        press.story.report(f"{number}", [day_key(f"{number}", 1, press.story.now)], press.story.card(1, number))
        before = set(press.bucket.objects)
        press.publish(6 * 3600)
        for name in set(press.bucket.objects) - before:
            press.bucket.written_at[name] = press.story.now
    return press


def pruned(press: Press, now: int, policy: Policy = PROMPT) -> list[str]:
    """What is removed at `now`, with the head as it is."""
    built = build(press.story.ledger)
    index = index_of(press.story.ledger, built.made)
    return prune(press.story.ledger, built.leaf, index, press.bucket, policy, Instant(now))


def test_files_that_nothing_names_go_at_their_time_and_not_before() -> None:
    press = pressed()
    in_force = named_files(build(press.story.ledger).leaf, press.bucket)
    oldest = min(at for name, at in press.bucket.written_at.items() if name not in in_force)
    assert pruned(press, oldest + kept_seconds(PROMPT)) == []
    removed = pruned(press, oldest + kept_seconds(PROMPT) + 1)
    assert removed and not in_force.intersection(removed)
    assert {press.bucket.written_at[name] for name in removed} == {oldest}


def test_what_is_in_force_stays_however_old_it_is() -> None:
    """Nothing was published for weeks: a region where the server stood still, and is asked again."""
    press = pressed()
    removed = pruned(press, press.story.now + NOW_SECONDS)
    leaf = build(press.story.ledger).leaf
    assert removed and damaged(leaf, press.bucket) == []
    index = index_name("utopia")
    named = press.bucket.objects[index].decode().splitlines()
    assert named and all(name in press.bucket.objects for name in named)
    assert {"v1/head", index} <= press.bucket.objects.keys()
    kept = named_files(leaf, press.bucket) | {"v1/head", index, *named}
    assert press.bucket.objects.keys() == kept
    assert pruned(press, press.story.now + NOW_SECONDS) == []


def test_a_delta_that_a_fresh_head_may_still_name_stays() -> None:
    """It left the list of the newest version, and a phone may hold a head that is a day older."""
    press = pressed(days=20)
    ledger, now = press.story.ledger, press.story.now
    deltas = {
        path_of(ledger, file): ledger.versions[file.to_version - 1].at
        for file in ledger.made
        if (file.profile, file.kind) == ("gaen", "delta")
    }
    removed, still_named = pruned(press, now), now - kept_seconds(PROMPT) - 14 * DAY_SECONDS
    assert {name for name in removed if name in deltas} == {name for name, at in deltas.items() if at < still_named}
    listed = named_files(build(ledger).leaf, press.bucket)
    assert [name for name in deltas if name in press.bucket.objects and name not in listed], "one that left the list"


def test_what_others_put_there_is_left() -> None:
    press = pressed(1)
    strangers = {"v1/other/keyset/" + "0a" * 32, "notes", "v1/utopia/keyset/readme", "v1/utopia/x/" + "0a" * 32}
    press.bucket.objects.update(dict.fromkeys(strangers, b"x"))
    pruned(press, press.story.now + NOW_SECONDS)
    assert strangers <= press.bucket.objects.keys()


def test_nothing_goes_while_a_list_in_force_is_damaged() -> None:
    press = pressed()
    leaf = build(press.story.ledger).leaf
    [lists] = [files for files in leaf.profiles if files.profile == "gaen"]
    assert lists.delta is not None
    name = f"v1/utopia/gaen/{lists.delta.file.hash.hex()}"
    whole = press.bucket.objects[name]
    press.bucket.objects[name] = b"damaged"
    assert pruned(press, press.story.now + NOW_SECONDS) == []
    press.bucket.objects[name] = whole
    assert pruned(press, press.story.now + NOW_SECONDS)


def test_years_of_files_go_in_pieces() -> None:
    press = pressed(1)
    press.bucket.objects.update({f"v1/utopia/keyset/{number:064x}": b"old" for number in range(MOST_AT_ONCE + 5)})
    now = press.story.now + QUARTER_SECONDS
    assert len(pruned(press, now)) == MOST_AT_ONCE
    assert len(pruned(press, now)) == 5


def test_how_long_a_file_stays() -> None:
    policy = Policy(old_files_days=3, dump_step_seconds=8 * 3600, gaen_step_seconds=4 * 3600)
    assert kept_seconds(policy) == 8 * 3600 + DAY_SECONDS + 3 * DAY_SECONDS
