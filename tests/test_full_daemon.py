"""The same station folder but one line: a full MiniCPM-V in the daemon, from camera to MQTT."""

import json
import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.daemon import open_judge, run
from inspector.demo.broker import running_broker
from inspector.demo.subscriber import Subscriber
from inspector.edge.log import Log, database_path
from inspector.errors import CheckpointError
from inspector.settings import StationSettings
from tests.conftest import Tiny
from tests.full_kit import write_tiny_full
from tests.station_kit import ENCODER, export_encoder_into, install_tiny_with_encoder, write_pictures, write_station

EDGE = 'checkpoint = "tiny"\nthreads = 1'
FULL = 'checkpoint = "openbmb/tiny-full"\nthreads = 1'
CAMERA = 'kind = "folder"\npath = "frames"\nmanifest = "frames.csv"'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Path:
    """A station with the edge model, a full model, the real report encoder and reports on two lots."""
    root = tmp_path_factory.mktemp("full-station")
    toml = (export_encoder_into(root / "models") / "encoder.toml").read_text(encoding="utf-8")
    revision = next(line for line in toml.splitlines() if line.startswith("revision")).split('"')[1]
    install_tiny_with_encoder(root, tiny.folder, revision)
    write_tiny_full(root / "models" / "openbmb" / "tiny-full", "minicpmv4_7", encoder=revision)
    write_tiny_full(root / "models" / "bare", "minicpmv4_6", encoder="")
    rows = ["a1,2026-01-05,L7,pit at the edge,screw", "a2,2026-01-06,L7,surface ok,screw", "a3,2026-01-07,L8,scale,screw"]
    (root / "reports.csv").write_text("\n".join(["report_id,written_at,lot,text,product", *rows]) + "\n", encoding="utf-8")
    settings = station(root, EDGE)
    names = write_pictures(settings.folder / "frames", 4)
    manifest = [f"{name},{lot},2026-02-01T00:00:00Z" for name, lot in zip(names, ("L7", "L8", "L7", "L9"), strict=True)]
    (settings.folder / "frames.csv").write_text("\n".join(["file,lot,recorded_at", *manifest]) + "\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["--root", str(root), "reports", "import", "s1", str(root / "reports.csv")])
    assert done.exit_code == 0, done.output
    return root


def station(root: Path, model: str, **sections: str) -> StationSettings:
    os.environ.pop("STATE_DIRECTORY", None)
    return write_station(root, model=model, reports="max_reports = 2", cameras_line=CAMERA, **sections)


def test_one_line_of_the_station_puts_the_full_model_in_from_camera_to_subscriber(root: Path, tmp_path: Path) -> None:
    read = {}
    with running_broker(tmp_path) as broker:
        for model, first in ((EDGE, 1), (FULL, 5)):
            settings = station(root, model, mqtt=f"port = {broker.port}")
            subscriber = Subscriber(broker.port, settings.mqtt.root, lambda _: None)
            tally = run(settings, root, threading.Event(), lambda _: None)
            subscriber.wait_for(4, 20)
            subscriber.close()
            assert tally.logged == 4
            assert [arrival.result["seq"] for arrival in subscriber.arrivals] == list(range(first, first + 4))
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        rows = list(log.find())
        kinds = [event.kind for event in log.events()]
    for name in ("tiny", "tiny-full"):
        own = [row for row in rows if row.model.startswith(f"{name}@")]
        read[name] = {row.frame_id: row.report_ids for row in own}
        assert not any(row.verdict.fault for row in own), [row.verdict.reason for row in own]
        assert all(sum(row.predictions[0].scores.values()) == pytest.approx(1.0) for row in own)
    assert read["tiny-full"] == read["tiny"]
    assert read["tiny-full"]["part-00.png"] == ("a1", "a2")
    assert "reports-off" not in kinds
    assert os.environ["HF_HUB_OFFLINE"] == "1", "a working station fetches nothing"


def test_without_a_report_projector_the_station_works_and_says_so(root: Path) -> None:
    settings = station(root, 'checkpoint = "bare"\nthreads = 1')
    said: list[str] = []
    tally = run(settings, root, threading.Event(), said.append)
    assert tally.logged == 4
    assert any("reports-off: reports are off: bare has no report projector" in line for line in said)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        assert {row.report_ids for row in log.find() if row.model.startswith("bare@")} == {()}
    picture = settings.folder / "frames" / "part-00.png"
    done = CliRunner().invoke(main, ["--root", str(root), "inspect", "s1", str(picture)])
    assert done.exit_code == 0, done.output
    assert "note: reports are off" in done.stderr
    assert json.loads(done.stdout)["model"].startswith("bare@")


def test_check_says_where_the_files_come_from_what_they_need_and_what_is_not_read(root: Path) -> None:
    station(root, f'{FULL}\nproviders = ["CPUExecutionProvider"]')
    done = CliRunner().invoke(main, ["--root", str(root), "check", "s1"])
    assert done.exit_code == 0, done.output
    for expected in (
        "minicpmv4_7, 1 file(s) of weights, copied by hand",
        "bfloat16 on cpu, needs about",
        "does not read model.providers",
        "screw: 4 labels",
    ):
        assert expected in done.stdout
    station(root, f"{FULL}\nmax_memory_bytes = 1_000_000")
    refused = CliRunner().invoke(main, ["--root", str(root), "check", "s1"])
    assert refused.exit_code == 1
    assert "model.max_memory_bytes is 0.0 GB" in refused.stdout
    station(root, f'{EDGE}\nprecision = "int4"')
    assert "does not read model.precision" in CliRunner().invoke(main, ["--root", str(root), "check", "s1"]).stdout


def test_normality_is_not_fitted_with_a_full_model_and_that_is_told(root: Path, tmp_path: Path) -> None:
    settings = station(root, 'checkpoint = "bare"\nthreads = 1')
    arguments = [
        "--root",
        str(root),
        "calibrate",
        "normality",
        "s1",
        "--no-groups",
        "--keep",
        "0.5",
        "--pictures",
        str(settings.folder / "frames"),
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "normality is fitted with inspector-edge alone" in done.stderr


def test_a_report_encoder_that_the_projector_does_not_read_is_refused(root: Path, tmp_path: Path) -> None:
    write_tiny_full(tmp_path / "models" / "other", encoder="test@0")
    (tmp_path / "models" / ENCODER).symlink_to(root / "models" / ENCODER)
    settings = station(tmp_path, 'checkpoint = "other"\nthreads = 1')
    with pytest.raises(CheckpointError, match=r"reads reports encoded by test@0"), open_judge(settings, tmp_path):
        pass
