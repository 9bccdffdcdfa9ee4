"""Live frames against frames that lay in a buffer."""

from inspector.edge.camera.freshness import Freshness


def running(period_s: float = 0.04, claimed_hz: float = 25.0) -> Freshness:
    """Return the judge of a stream that has run for a while."""
    freshness = Freshness(claimed_hz)
    for _ in range(50):
        freshness.is_live(period_s)
    return freshness


def test_a_stream_that_runs_is_live() -> None:
    assert all(running().is_live(wait) for wait in (0.04, 0.03, 0.05, 0.001, 0.08, 0.04))


def test_a_frame_after_a_hang_is_old_and_so_is_the_backlog_behind_it() -> None:
    freshness = running()
    assert not freshness.is_live(2.0)
    assert not any(freshness.is_live(0.002) for _ in range(10))
    assert freshness.is_live(0.04)
    assert freshness.is_live(0.002)


def test_two_old_frames_each_after_a_hang_are_both_old() -> None:
    freshness = running()
    assert [freshness.is_live(2.0), freshness.is_live(2.0)] == [False, False]


def test_what_the_stream_held_back_while_it_was_opened_is_old() -> None:
    freshness = Freshness(25.0)
    assert not any(freshness.is_live(0.001) for _ in range(10))
    assert freshness.is_live(0.03)


def test_the_first_frame_may_take_long() -> None:
    assert Freshness(25.0).is_live(1.5)


def test_a_source_that_never_lets_anyone_wait_is_believed_in_the_end() -> None:
    freshness = Freshness(25.0)
    assert any(freshness.is_live(0.001) for _ in range(30))


def test_a_backlog_ends_after_as_many_frames_as_the_stall_can_hold() -> None:
    freshness = running()
    freshness.is_live(2.0)
    assert [freshness.is_live(0.001) for _ in range(60)].count(False) == 55


def test_a_slow_camera_is_live_whatever_it_claims() -> None:
    for claimed_hz in (0.0, 1.0, 25.0, 90_000.0, -1.0):
        freshness = running(1.0, claimed_hz)
        assert all(freshness.is_live(1.0) for _ in range(5))


def test_a_camera_faster_than_it_claims_is_live() -> None:
    freshness = running(0.008, 25.0)
    assert all(freshness.is_live(0.008) for _ in range(5))
