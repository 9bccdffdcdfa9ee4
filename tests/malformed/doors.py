"""The doors: for each, what comes in (a hypothesis strategy) and what takes it. A door answers, or refuses with the error it names."""

import json
import random
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from inspector.cli.init_template import TEMPLATES, read_template
from inspector.edge.camera.decode import decode_image
from inspector.edge.commands.doorman import Doorman, Refusal
from inspector.edge.commands.payload import command_models
from inspector.edge.disk.recovery import make_sound
from inspector.edge.incoming import Incoming
from inspector.edge.log import Log
from inspector.edge.report_files import ReportRules, read_reports
from inspector.edge.topics import Topics
from inspector.errors import CameraError, InspectorError, ReportError, SettingsError
from inspector.settings import CommandsSection, parse_station, read_station
from tests.malformed.log_file import written_log

_TOPICS = Topics("inspector/v1", "plant", "press", "line1", "cell-3")
_SCALARS = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=20)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8
)
_NOISE = st.lists(st.tuples(st.integers(0, 10**7), st.binary(min_size=0, max_size=200), st.integers(0, 64)), min_size=1, max_size=4)
"""Where to change a file, what to put there, and how many bytes to take out."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way in."""

    inputs: st.SearchStrategy[Any]
    """What comes in."""
    take: Callable[[Any, Path], bool]
    """Takes one input, with a folder to work in; returns True if it was accepted, False if refused in an answer."""
    refuses_with: tuple[type[Exception], ...]
    """Errors that are a clear refusal; any other is a crash."""
    share: float
    """Share of the inputs."""


def doors() -> Mapping[str, Door]:
    """Return every door by name."""
    return {
        "settings: values": Door(_tables(), _take_table, (SettingsError,), 0.25),
        "settings: text": Door(_mutated([read_template(name).encode() for name in TEMPLATES]), _take_settings, (SettingsError,), 0.1),
        "commands": Door(_commands(), _take_command, (), 0.25),
        "reports": Door(st.tuples(st.sampled_from([".csv", ".jsonl", ".txt"]), _mutated(_REPORTS)), _take_reports, (ReportError,), 0.15),
        "pictures": Door(_mutated(_pictures()), _take_picture, (CameraError,), 0.2),
        "database files": Door(_mutated([written_log()]), _take_database, (InspectorError,), 0.05),
    }


def changed(content: bytes, noise: list[tuple[int, bytes, int]]) -> bytes:
    """Return a file's content with bytes overwritten, put in or taken out, or cut off where an even number says so."""
    for place, wrong, out in noise:
        start = place % (len(content) + 1)
        content = content[:start] + wrong + content[start + (out or len(wrong)) :]
        if place % 7 == 0:
            content = content[:start]
    return content


def _mutated(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(st.binary(max_size=300), st.builds(changed, st.sampled_from(originals), _NOISE))


def _tables() -> st.SearchStrategy[dict[str, Any]]:
    """Return templates in which values were replaced, removed or put in under odd keys."""
    tables = [tomllib.loads(read_template(name)) for name in TEMPLATES]

    def spoilt(table: dict[str, Any], seed: int, values: list[Any], key: str) -> dict[str, Any]:
        rng = random.Random(seed)  # noqa: S311 - no secret
        return {name: _spoil(value, rng, values, key) for name, value in table.items()}

    return st.builds(
        spoilt, st.sampled_from(tables), st.integers(0, 2**31), st.lists(_VALUES, min_size=1, max_size=4), st.text(max_size=12)
    )


def _spoil(value: Any, rng: random.Random, values: list[Any], key: str) -> Any:
    if not isinstance(value, dict) or rng.random() < 0.05:
        return rng.choice(values) if rng.random() < 0.1 else value
    spoilt = {name: _spoil(inner, rng, values, key) for name, inner in value.items() if rng.random() > 0.03}
    return spoilt | ({key: rng.choice(values)} if rng.random() < 0.1 else {})


def _take_table(table: dict[str, Any], _place: Path) -> bool:
    parse_station(table, Path("calibration/press"))
    return True


def _take_settings(text: bytes, place: Path) -> bool:
    folder = place / "press"
    folder.mkdir(exist_ok=True)
    (folder / "station.toml").write_bytes(text)
    read_station(folder)
    return True


def _commands() -> st.SearchStrategy[Incoming]:
    known = st.sampled_from(list(command_models()))
    fields = st.sampled_from(["lot", "product", "first_seq", "last_seq", "camera", "reason", "inspection_id", "x"])
    like = st.dictionaries(fields, _VALUES, max_size=4)
    payloads = st.binary(max_size=400) | like.map(lambda table: json.dumps(table).encode()) | st.just(b"[" * 5000)
    topics = (known | st.text(max_size=30)).map(_TOPICS.command)
    reply = st.none() | st.text(max_size=60) | st.just("inspector/v1/plant/press/line1/cell-3/result")
    return st.builds(
        lambda topic, payload, response, correlation, retain: Incoming(
            topic=topic, payload=payload, response_topic=response, correlation=correlation, retain=retain
        ),
        topics,
        payloads,
        reply,
        st.none() | st.binary(max_size=40),
        st.booleans(),
    )


def _take_command(message: Incoming, _place: Path) -> bool:
    answer = Doorman(_TOPICS, CommandsSection(allow=tuple(command_models()))).look(message, 10**12)
    if isinstance(answer, Refusal) and not (answer.reason and len(answer.reason) < 2000):
        raise AssertionError(f"a refusal without a usable reason: {answer.reason[:80]!r}")
    return answer is not None and not isinstance(answer, Refusal)


_REPORTS = [
    (
        b"report_id,written_at,product,lot,label,text\nR1,2026-01-02,bracket,L1,dent,dent at the edge\n"
        b"R2,2026-01-03,bracket,,,\xe5\x88\x92\xe4\xbc\xa4\n"
    ),
    b'{"report_id": "R1", "written_at": "2026-01-02T03:04:05Z", "product": "bracket", "text": "pit of 2 mm"}\n{"text": "no date"}\n',
]


def _take_reports(what: tuple[str, bytes], place: Path) -> bool:
    path = place / f"reports{what[0]}"
    path.write_bytes(what[1])
    reports, bad = read_reports(path, ReportRules("bracket", frozenset({"bracket"}), {}))
    if any(not row.reason for row in bad):
        raise AssertionError("a bad row without its reason")
    return bool(reports)


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    grey, colour = rng.integers(0, 256, (40, 60), np.uint8), rng.integers(0, 256, (40, 60, 3), np.uint8)
    deep = rng.integers(0, 65536, (20, 30), np.uint16)
    made = [(".png", grey), (".png", deep), (".jpg", colour), (".bmp", colour), (".tiff", deep), (".webp", colour), (".png", colour)]
    return [cv2.imencode(suffix, image)[1].tobytes() for suffix, image in made]


def _take_picture(data: bytes, _place: Path) -> bool:
    image = decode_image(data)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.flags.writeable:
        raise AssertionError(f"a picture of shape {image.shape}, {image.dtype}")
    return True


def _take_database(content: bytes, place: Path) -> bool:
    folder = place / "log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "log.db").write_bytes(content)
    make_sound(folder / "log.db", "cell-3", known_seq=40)
    with Log(folder / "log.db", "cell-3") as log:
        log.event("noted", "the log can be written")
        return log.last_seq() >= 0
