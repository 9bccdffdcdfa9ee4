"""From events to the state that the station tells."""

from inspector.edge.ailing import Ailing


def test_a_fault_degrades_a_running_station_until_it_ends() -> None:
    ailing = Ailing("running")
    ailing.hear("camera-lost", "top: no picture for 2.0 s")
    assert ailing.told == ("degraded", "top: no picture for 2.0 s")
    ailing.hear("camera-back", "top: delivers again")
    assert ailing.told == ("running", "")


def test_each_camera_has_its_own_fault_and_all_faults_are_told() -> None:
    ailing = Ailing("running")
    ailing.hear("camera-lost", "top: no picture")
    ailing.hear("camera-lost", "side: connection refused")
    ailing.hear("disk-low", "3 MB free")
    ailing.hear("camera-back", "top: delivers again")
    assert ailing.told == ("degraded", "side: connection refused; 3 MB free")
    ailing.hear("disk-low-ended", "the fault is over")
    ailing.hear("camera-back", "side: delivers again")
    assert ailing.told == ("running", "")


def test_a_pause_is_told_as_a_pause_and_a_fault_is_not_forgotten_by_it() -> None:
    ailing = Ailing("running")
    ailing.hear("camera-lost", "top: no picture")
    ailing.state, ailing.reason = "paused", "by command"
    assert ailing.told == ("paused", "by command")
    ailing.state, ailing.reason = "running", ""
    assert ailing.told == ("degraded", "top: no picture")


def test_events_that_are_no_faults_change_nothing() -> None:
    ailing = Ailing("running")
    for kind in ("started", "log-recovered", "disk-cleared", "stopped"):
        ailing.hear(kind, "whatever: it says")
    assert ailing.told == ("running", "")


def test_a_moved_camera_and_a_drifting_exposure_degrade_the_station_for_each_camera() -> None:
    ailing = Ailing("running")
    ailing.hear("camera-moved", "top: the camera has moved")
    ailing.hear("exposure-drift", "top: 20 % darker")
    ailing.hear("camera-moved", "side: the camera has moved")
    ailing.hear("camera-moved-ended", "top: as in the reference again")
    assert ailing.told == ("degraded", "top: 20 % darker; side: the camera has moved")
    ailing.hear("exposure-drift-ended", "top: as in the reference again")
    ailing.hear("camera-moved-ended", "side: the reference was changed")
    assert ailing.told == ("running", "")
