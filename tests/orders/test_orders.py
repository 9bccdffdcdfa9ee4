"""Orders: what a command changes for the frames after it, and what it answers. A link that is not started stands for the broker."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector.core.context import Context
from inspector.core.decision import DecisionCalibration
from inspector.core.frame import Frame, Image
from inspector.core.normality import NormalityCalibration, PatchMemory
from inspector.core.prediction import Prediction
from inspector.edge.commands.doorman import Asker, Request
from inspector.edge.commands.payload import Command, command_models
from inspector.edge.health.tally import Tally
from inspector.edge.link import Link, LinkRules
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.pictures import PictureStore
from inspector.edge.recorder import Recorder
from inspector.edge.systemd import Systemd
from inspector.edge.topics import Topics
from inspector.orders import Orders, Rereading, Surroundings
from inspector.pipeline import NoReports, Pipeline, Product
from inspector.settings import CommandsSection, ExtrasSection, MqttSection, StationSettings, read_station, write_normality
from tests.station_kit import picture, write_station


class SurePredictor:
    """Says "good" with probability 0.8."""

    name = "fake@1"

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        scores = {label: 0.8 if label == "good" else 0.2 / (len(context.labels.names) - 1) for label in context.labels.names}
        return [Prediction(region, scores, (), self.name) for region, _ in images], {}


@dataclass
class FakeCameras:
    """Remembers what it was asked."""

    triggered: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def trigger(self, camera: str) -> bool:
        self.triggered.append(camera)
        return True

    def leave_out(self, camera: str) -> None:
        self.left_out.append(camera)


class Station:
    """A station without threads: orders, log and what was answered."""

    def __init__(self, root: Path, log: Log) -> None:
        self.settings = write_station(root, cameras_free='kind = "device"\ndevice = 0', decision="")
        self.cameras, self.said, self.log = FakeCameras(), list[str](), log
        topics = Topics.of(self.settings)
        self.link = Link(
            LinkRules(MqttSection(), CommandsSection(), ExtrasSection()),
            topics,
            root / "log.db",
            message=lambda inspection: result_message(inspection, topics),
            tell=lambda *event: self.said.append(": ".join(event)),
            nudge=lambda: None,
        )
        self.recorder = Recorder(log, None, self.settings, PictureStore(root, self.settings.log), Tally(), self.said.append)
        self.asked = threading.Event()
        self.orders = self.open()

    def open(self) -> Orders:
        products = {
            name: Product(name, section.label_set(), DecisionCalibration(pass_above=0.7))
            for name, section in self.settings.products.items()
        }
        pipeline = Pipeline(
            SurePredictor(), NoReports(4), products, "screw", {r.name: r for r in self.settings.region_list()}, self.settings.quality
        )
        rereading = Rereading(lambda: read_station(self.settings.folder), self.asked)
        return Orders(pipeline, Surroundings(self.recorder, self.cameras, self.link, rereading, Systemd({})))

    def do(self, verb: str, **keys: Any) -> dict[str, Any]:
        """Carry out a command; return the answer, {} if there is none yet."""
        command: Command = command_models()[verb].model_validate(keys)  # type: ignore[index]
        request = Request(Asker(verb, "mes", f"r/{verb}"), verb, command, time.monotonic_ns())  # type: ignore[arg-type]
        self.link._desk.requests.put(request)
        self.orders.attend()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        outgoing = self.link._desk.outgoing
        body: dict[str, Any] = json.loads(outgoing.popleft()[0].payload) if outgoing else {}
        return body

    def judge(self, *frames: Frame) -> list[Any]:
        admitted = self.orders.admit(frames)
        recorder = replace(self.recorder, show=self.orders.logged)
        recorder.record(admitted, self.orders.pipeline.inspect(admitted))
        return list(self.log.find())[-len(admitted) :] if admitted else []


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with Log(tmp_path / "log.db", "s1") as log:
        station = Station(tmp_path, log)
        yield station
        station.link.stop()


def frame(number: int, camera: str = "line", **changes: Any) -> Frame:
    return replace(Frame("s1", camera, f"f{number}", datetime.now(UTC), time.monotonic_ns(), picture(number)), **changes)


def test_while_paused_a_triggered_frame_is_a_review_with_the_reason_and_a_free_running_one_is_left_out(station: Station) -> None:
    before = frame(1)
    assert station.do("pause", reason="lens cleaning")["outcome"] == "done"
    rows = station.judge(before, frame(2), frame(3, "free"))
    assert [(row.frame_id, row.verdict.disposition, row.verdict.fault) for row in rows] == [("f1", "pass", False), ("f2", "review", True)]
    assert rows[1].verdict.reason == "paused by command: mes: lens cleaning"
    assert station.cameras.left_out == ["free"]
    station.do("resume")
    assert [row.verdict.disposition for row in station.judge(frame(4), frame(5, "free"))] == ["pass", "pass"]


def test_a_pause_and_its_end_stand_in_the_log_and_in_the_state_that_is_told(station: Station) -> None:
    station.recorder.note("started", "now")
    told = []
    for verb, keys in (("resume", {}), ("pause", {"reason": "lens cleaning"}), ("resume", {})):
        station.do(verb, **keys)
        told.append(station.recorder.tally.told)
    assert told == [("running", ""), ("paused", "mes: lens cleaning"), ("running", "")]
    events = [(event.kind, event.detail) for event in station.log.events()]
    assert events == [("started", "now"), ("paused", "mes: lens cleaning"), ("resumed", "by mes")]


def test_a_camera_fault_while_paused_keeps_its_own_reason(station: Station) -> None:
    station.do("pause")
    assert [row.verdict.reason for row in station.judge(frame(1, fault="the cable is off"))] == ["the cable is off"]


def test_lot_and_product_hold_for_frames_taken_after_the_command_and_outlive_a_restart(station: Station) -> None:
    early = frame(1)
    assert station.do("lot", lot="L8")["result"] == {"product": "screw", "lot": "L8"}
    assert station.do("product", product="strip")["result"] == {"product": "strip", "lot": "L8"}
    rows = station.judge(early, frame(2), frame(3, lot="own"), frame(4, product="screw"))
    assert [(row.product, row.lot) for row in rows] == [("screw", None), ("strip", "L8"), ("strip", "own"), ("screw", "L8")]
    station.orders = station.open()
    assert [(row.product, row.lot) for row in station.judge(frame(5))] == [("strip", "L8")]
    station.do("lot", lot=None)
    station.do("product", product=None)
    assert [(row.product, row.lot) for row in station.judge(frame(6))] == [("screw", None)]
    assert station.log.recall() == {}


def test_a_product_that_the_station_does_not_have_is_refused(station: Station) -> None:
    refused = station.do("product", product="bolt")
    assert (refused["outcome"], "screw, strip" in refused["reason"]) == ("refused", True)
    assert station.log.recall() == {}


def test_a_product_that_was_set_and_is_gone_is_forgotten_with_a_word(station: Station) -> None:
    station.log.remember("product", "bolt")
    station.orders = station.open()
    assert [row.product for row in station.judge(frame(1))] == ["screw"]
    assert any("product-unknown: bolt" in line for line in station.said)


def test_a_trigger_takes_the_first_frame_after_it_and_answers_with_its_verdict(station: Station) -> None:
    early = frame(1)
    assert station.do("trigger", camera="line", part_id="SN-7", lot="L9") == {}
    assert station.cameras.triggered == ["line"]
    other, late, next_one = frame(2, "free"), frame(3), frame(4)
    rows = station.judge(early, other, late, next_one)
    assert [(row.frame_id, row.part_id, row.lot) for row in rows] == [
        ("f1", None, None),
        ("f2", None, None),
        ("f3", "SN-7", "L9"),
        ("f4", None, None),
    ]
    answer = station.answer()
    assert (answer["outcome"], answer["result"]["frame_id"], answer["result"]["seq"]) == ("done", "f3", 3)
    assert (answer["result"]["evaluation"], answer["result"]["part_id"]) == ("OK", "SN-7")
    assert station.answer() == {}


def test_a_trigger_without_a_frame_is_told_as_failed(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.orders.orders._TRIGGER_PATIENCE_S", 0.0)
    answer = station.do("trigger", camera="free")
    assert (answer["outcome"], "camera free gave no frame" in answer["reason"]) == ("failed", True)


@pytest.mark.parametrize("keys", [{}, {"camera": "back"}])
def test_a_trigger_must_name_one_of_several_cameras(station: Station, keys: dict[str, str]) -> None:
    assert station.do("trigger", **keys)["reason"] == "camera: name one of line, free"


def test_a_paused_station_takes_no_trigger_and_not_too_many_wait(station: Station) -> None:
    answers = [station.do("trigger", camera="line") for _ in range(17)]
    assert [answer.get("outcome") for answer in answers] == [None] * 16 + ["refused"]
    station.do("pause")
    assert "the station is paused" in station.do("trigger", camera="line")["reason"]


def edit(settings: StationSettings, old: str, new: str) -> None:
    file = settings.folder / "station.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_a_reload_takes_thresholds_regions_and_calibration_and_names_what_needs_a_restart(station: Station) -> None:
    folder = station.settings.folder
    edit(station.settings, "[decision]\n", "[decision]\npass_above = 0.95\n[regions.left]\nbox_px = [0, 0, 64, 64]\n")
    edit(station.settings, 'checkpoint = "tiny"', 'checkpoint = "other"')
    (folder / "camera.toml").write_text("[line]\nblur_min = 0.5\n")
    (folder / "decision.toml").write_text("[strip]\ntemperature = 2.0\n")
    result = station.do("reload")["result"]
    assert set(result["changed"]) == {
        "decision.pass_above",
        "regions.left",
        "decision of screw",
        "decision of strip",
        "calibration of camera line",
    }
    assert result["needs_restart"] == ["model.checkpoint"]
    row = station.judge(frame(1))[0]
    assert row.verdict.disposition == "review"
    assert row.verdict.reason == "left: good 0.80 is below pass_above 0.95"
    again = station.do("reload")["result"]
    assert again == {"changed": [], "needs_restart": ["model.checkpoint"]}


def test_a_reload_of_wrong_settings_changes_nothing_and_names_every_mistake(station: Station) -> None:
    folder, before = station.settings.folder, station.orders.pipeline
    edit(station.settings, "[decision]\n", "[decision]\npass_above = 1.5\npas_above = 0.5\n")
    (folder / "camera.toml").write_text("[line]\nblur_min = -1.0\n")
    (folder / "decision.toml").write_text("[screw\n")
    answer = station.do("reload")
    assert (answer["outcome"], len(answer["mistakes"])) == ("failed", 4)
    for file, word in (
        ("station.toml", "pass_above"),
        ("station.toml", "pas_above"),
        ("camera.toml", "blur_min"),
        ("decision.toml", "line 1"),
    ):
        assert any(file in line and word in line for line in answer["mistakes"]), (file, word, answer["mistakes"])
    assert station.orders.pipeline is before
    assert [row.verdict.disposition for row in station.judge(frame(1))] == ["pass"]


@pytest.mark.parametrize(
    ("text", "event"), [("[decision]\npass_above = 0.95\n", "reloaded: changed:"), ("[decision]\nx = 1\n", "reload-failed:")]
)
def test_a_reload_for_systemd_is_told_to_it_and_to_the_log(
    station: Station, monkeypatch: pytest.MonkeyPatch, text: str, event: str
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Systemd, "_notify", lambda _self, *lines: heard.extend(lines))
    edit(station.settings, "[decision]\n", text)
    station.asked.set()
    station.orders.attend()
    assert [line.split("=")[0] for line in heard] == ["RELOADING", "MONOTONIC_USEC", "READY", "STATUS"]
    assert any(event in line for line in station.said)
    assert not station.asked.is_set()


def test_every_command_is_told_to_the_log_with_who_and_what_came_of_it(station: Station) -> None:
    station.do("pause", reason="shift change")
    station.do("lot", lot="L8")
    station.do("product", product="bolt")
    told = [line for line in station.said if line.startswith("command: ")]
    assert [line.split(": ")[1:3] for line in told] == [
        ["pause from mes", "done"],
        ["lot from mes", "done"],
        ["product from mes", "refused"],
    ]


def test_a_reload_takes_a_fitted_normality_over_and_refuses_one_of_another_checkpoint(station: Station) -> None:
    patches = np.ones((3, 4), np.float16)
    for model, ok in (("fake@1", True), ("fake@0", False)):
        write_normality(station.settings.folder, "screw", patches, NormalityCalibration(PatchMemory.of(patches), "", 1.0, 0.9, 9, 9, model))
        answer = station.do("reload")
        assert ("normality of screw" in str(answer)) == ok
        assert ("fit again with inspector calibrate normality" in str(answer)) != ok
    held = station.orders.pipeline.products["screw"].normality
    assert held is not None
    assert held.model == "fake@1"
