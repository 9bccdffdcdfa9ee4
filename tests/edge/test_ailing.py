"""From events to the state that the station tells."""

from inspector.edge.ailing import Ailing, OpenFaults, told_kinds


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
    ailing.hear("paused", "mes: lens cleaning")
    assert ailing.told == ("paused", "mes: lens cleaning")
    ailing.hear("resumed", "by mes")
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


def test_a_station_that_has_started_runs_until_faults_say_otherwise() -> None:
    ailing = Ailing()
    ailing.hear("started", "model m@1")
    ailing.hear("thread-hung", "camera top: no sign of life")
    ailing.hear("thread-hung", "retention: no sign of life")
    ailing.hear("thread-back", "camera top: works again")
    assert ailing.told == ("degraded", "retention: no sign of life")


def test_a_broker_that_is_lost_is_an_open_fault_and_does_not_degrade_the_inspection() -> None:
    ailing, faults = Ailing("running"), OpenFaults[int]()
    events = (
        ("broker-lost", "b:1883: refused"),
        ("publish-refused", "t/result: denied"),
        ("camera-lost", "top: gone"),
        ("camera-back", "top: well"),
    )
    for number, (kind, detail) in enumerate(events):
        assert kind in told_kinds()
        ailing.hear(kind, detail)
        faults.hear(kind, detail, number)
    assert ailing.told == ("running", "")
    assert faults.by_key == {("broker-lost", ""): 0, ("publish-refused", "t/result"): 1}
