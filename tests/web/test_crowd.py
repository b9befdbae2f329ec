"""Open connections by caller: a limit of each, and nothing is kept of those who have left."""

from tocsin.web.crowd import Crowd


def test_each_caller_has_a_limit_of_its_own() -> None:
    crowd = Crowd(2)
    assert [crowd.enter(b"ada"), crowd.enter(b"ada"), crowd.enter(b"ada")] == [True, True, False]
    assert crowd.enter(b"bob")
    crowd.leave(b"ada")
    assert [crowd.enter(b"ada"), crowd.enter(b"ada")] == [True, False]


def test_nothing_is_kept_of_who_has_left() -> None:
    crowd = Crowd(1)
    for number in range(100):
        caller = b"%d" % number
        assert crowd.enter(caller) and not crowd.enter(caller)
        crowd.leave(caller)
    assert len(crowd) == 0


def test_no_limit() -> None:
    crowd = Crowd(None)
    assert all(crowd.enter(b"proxy") for _ in range(10_000))
    crowd.leave(b"proxy")
    assert len(crowd) == 0
