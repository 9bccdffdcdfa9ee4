"""A station with a log and reports for the assistant, and a voice that speaks to it."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.core.prediction import Prediction
from inspector.edge.log import Log
from inspector.settings import StationSettings, read_station

STATION = """
[products.steel-strip]
description = "hot rolled steel strip"
labels = ["good", "surface_scratch", "slag_inclusion", "red_iron"]
good = "good"
severity.slag_inclusion = "critical"
[products.steel-strip.display]
good = { en = "good", zh = "合格品" }
surface_scratch = { en = "surface scratch", zh = "表面划伤" }
slag_inclusion = { en = "slag inclusion", zh = "夹渣" }
red_iron = { en = "red iron", zh = "红铁皮" }
[cameras.line]
kind = "folder"
path = "frames"
[commands]
allow = ["pause", "replay"]
"""
REPORTS = """report_id,written_at,product,lot,label,text
QC-1,2026-10-01,steel-strip,L7,surface_scratch,guide roller worn on the drive side
QC-2,2026-10-02,steel-strip,L6,surface_scratch,scratch from the coiler
QC-3,2026-10-03,steel-strip,L7,slag_inclusion,ladle changed late
"""


def write_station(root: Path, extra: str = "") -> StationSettings:
    folder = root / "calibration" / "mill-1"
    (folder / "frames").mkdir(parents=True)
    (folder / "station.toml").write_text(STATION + extra, encoding="utf-8")
    return read_station(folder)


def judged(number: int, label: str, disposition: Any, *, minutes_ago: float = 1.0, lot: str = "L7") -> Inspection:
    """Return the n-th inspection of the station."""
    instant = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    findings = () if disposition == "pass" else (Finding("frame", label, 0.9, None, disposition),)
    scores = dict.fromkeys(("good", "surface_scratch", "slag_inclusion", "red_iron"), 0.1 / 3) | {label: 0.9}
    verdict = Verdict(disposition, findings, f"frame: {label} 0.90")
    prediction = Prediction("frame", scores, (), "m@1")
    return Inspection(
        f"id-{number}", "mill-1", "line", f"f{number}", "steel-strip", instant, instant, 80.0, verdict, (prediction,),
        model="m@1", lot=lot, part_id=f"SN-{number}",
    )  # fmt: skip


def fill(root: Path, *inspections: Inspection) -> None:
    with Log(root / "var/mill-1/inspector.db", "mill-1") as log:
        for inspection in inspections:
            log.append(inspection)


def speak(text: str, path: Path, voice: str = "en-us", words_a_minute: int = 150) -> Path:
    """Let espeak-ng say a text into a WAV file; skip the test where it is not installed."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-w", str(path), text], check=True)
    return path
