"""The port for Prometheus, asked over HTTP and read with the library's own parser."""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inspector.edge.camera import CameraCounters
from inspector.edge.health.figures import Sources
from inspector.edge.health.payload import CameraFigures
from inspector.edge.health.prometheus import open_metrics
from inspector.edge.health.scrape import scrape
from inspector.edge.health.tally import Tally
from inspector.errors import SettingsError
from inspector.settings import StationSettings
from tests.station_kit import write_station

DOCS = Path(__file__).parents[3] / "docs"
Make = Callable[..., Sources]


def settings(root: Path, port: int) -> StationSettings:
    return write_station(root, health=f"metrics_port = {port}")


@pytest.fixture
def port(tmp_path: Path, free_port: int, sources: Make) -> Iterator[int]:
    with open_metrics(settings(tmp_path, free_port)) as show:
        show(sources().read)
        yield free_port


def scraped(port: int, accept: str = "text/plain") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": accept})
    answer = connection.getresponse()
    assert answer.status == 200
    text = answer.read().decode()
    connection.close()
    return text


def values(text: str) -> dict[str, float]:
    """Return each sample's value by its name and labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value for sample in samples}


def test_what_cameras_have_counted_is_told_by_camera(port: int) -> None:
    found = values(scraped(port))
    names = ("frames", "faulty_frames", "dropped_frames", "faults", "reconnects", "lost_packets")
    assert [found[f"inspector_camera_{name}_total camera=top"] for name in names] == [40, 2, 3, 1, 1, 7]
    assert (found["inspector_camera_up camera=top"], found["inspector_camera_up camera=side"]) == (1, 0)
    assert found["inspector_camera_last_frame_age_seconds camera=top"] == 0.25
    assert "inspector_camera_last_frame_age_seconds camera=side" not in found, "never is not 0 seconds ago"


def test_verdicts_ages_stages_outbox_memory_state_and_build_are_told(port: int) -> None:
    found = values(scraped(port))
    assert [found[f"inspector_verdicts_total disposition={kind}"] for kind in ("pass", "fail", "review")] == [2, 1, 0]
    assert found["inspector_frame_age_seconds_count"] == 3
    assert found["inspector_frame_age_seconds_sum"] == pytest.approx(3 * 0.08125)
    assert (found["inspector_frame_age_seconds_bucket le=0.075"], found["inspector_frame_age_seconds_bucket le=0.1"]) == (0, 3)
    assert found["inspector_stage_duration_seconds_sum stage=vision"] == pytest.approx(0.09)
    assert found["inspector_stage_duration_seconds_sum stage=capture_to_row"] == pytest.approx(0.27)
    assert found["inspector_outbox_messages"] == 1
    assert 0 <= found["inspector_outbox_oldest_message_age_seconds"] < 60
    assert found["inspector_last_verdict_timestamp_seconds"] > 1.7e9
    assert found["process_resident_memory_bytes"] > 1e6
    states = {key.partition("state=")[2]: value for key, value in found.items() if key.startswith("inspector_state ")}
    assert [state for state, value in states.items() if value] == ["running"]
    assert any("model=inspector-edge revision=abc station=cell-3" in key for key in found if key.startswith("inspector_build_info"))


def test_names_and_units_are_those_that_prometheus_asks_for(port: int) -> None:
    text = scraped(port, "application/openmetrics-text")
    assert text.endswith("# EOF\n")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", scraped(port), flags=re.MULTILINE))
    own = {name: kind for name, kind in kinds.items() if name.startswith("inspector_")}
    assert [name for name, kind in own.items() if kind == "counter" and not name.endswith("_total")] == []
    assert [name for name in own if re.search("_ms|_mb|milli", name)] == []
    assert [name for name, kind in own.items() if kind == "histogram" and not name.endswith("_seconds")] == []


def test_a_log_that_cannot_be_read_leaves_the_outbox_out_and_nothing_else(tmp_path: Path, free_port: int, sources: Make) -> None:
    made = sources()
    made.database.write_bytes(b"no database at all")
    with open_metrics(settings(tmp_path, free_port)) as show:
        show(made.read)
        found = values(scraped(free_port))
    assert not [name for name in found if name.startswith("inspector_outbox")]
    assert found["inspector_verdicts_total disposition=pass"] == 2


def test_a_port_in_use_is_an_error_that_names_key_and_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        with pytest.raises(SettingsError, match=rf"health\.metrics_port: 127\.0\.0\.1:{taken} cannot be opened .*in use"):
            open_metrics(settings(tmp_path, taken)).__enter__()


def test_the_port_is_open_on_the_loopback_address_alone_and_closed_at_the_end(tmp_path: Path, free_port: int) -> None:
    with open_metrics(settings(tmp_path, free_port)), socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", free_port)) != 0, "an address of this machine that is not the one it is bound to"
        assert probe.connect_ex(("127.0.0.1", free_port)) == 0
    with open_metrics(settings(tmp_path, free_port)):  # it can be had again at once
        assert "process_resident_memory_bytes" in scraped(free_port)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", free_port)) != 0


def test_two_stations_in_one_process_know_nothing_of_each_other(tmp_path: Path, port: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        second = int(probe.getsockname()[1])
    with open_metrics(settings(tmp_path, second)):
        assert "inspector_verdicts" not in scraped(second)


def test_a_running_stations_port_gives_its_cameras_back_as_they_were(port: int) -> None:
    found = scrape(port, "cell-3")
    assert found is not None
    assert found.model == "inspector-edge@abc"
    assert found.cameras["top"] == CameraFigures.of(CameraCounters("top", 40, 2, 3, 1, 1, 7, last_frame_age_ms=250.0))
    assert (found.cameras["side"].is_lost, found.cameras["side"].last_frame_age_ms) == (True, None)


def test_nobody_another_station_and_another_program_are_told_apart_from_a_station(port: int, tmp_path: Path) -> None:
    assert scrape(port, "cell-4") is None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = int(silent.getsockname()[1])
    assert scrape(address, "cell-3") is None
    with open_metrics(settings(tmp_path, address)):
        assert scrape(address, "cell-3") is None


def test_a_verdict_after_a_fault_counts_with_its_age_and_without_stages(make_inspection: Callable[..., object]) -> None:
    from inspector.core.inspection import Verdict  # noqa: PLC0415 - this test alone

    tally = Tally()
    verdict = Verdict.undecided("camera at fault", fault=True)
    tally.add(make_inspection(verdict=verdict, predictions=(), timings_ms={"total": 0.1}), 5.0)  # type: ignore[arg-type]
    assert (tally.logged, tally.verdicts["review"], set(tally.spreads())) == (1, 1, {"capture_to_row"})


def test_every_metric_of_the_pages_and_rules_exists(port: int) -> None:
    known = set(re.findall(r"^# TYPE (\S+) ", scraped(port), flags=re.MULTILINE))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    rules = (DOCS / "examples/prometheus/inspector.rules.yml").read_text(encoding="utf-8")
    expressions = " ".join(re.findall(r"^ +expr: (.*)$", rules, flags=re.MULTILINE))
    used = set(re.findall(r"\b(?:inspector|process)_\w+", expressions))
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `((?:inspector|process)_\w+)", page, flags=re.MULTILINE))
    assert len(used) >= 5
    assert used | named <= known
    assert {name for name in known if name.startswith("inspector_") and not re.search("_(bucket|sum|count)$", name)} <= named
