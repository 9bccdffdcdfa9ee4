import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from inspector.core.calibration import CameraCalibration
from inspector.core.decision import DecisionCalibration
from inspector.errors import CalibrationError, SettingsError
from inspector.settings import (
    StationSettings,
    parse_station,
    read_camera_calibration,
    read_decision,
    read_decisions,
    read_station,
    usable_parts,
)

LEAST = """
[products.strip]
labels = ["good", "scratch"]
good = "good"

[cameras.line]
kind = "folder"
path = "frames"
"""


def station(folder: Path, text: str) -> Path:
    folder = folder / "calibration" / "press"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "station.toml").write_text(text, encoding="utf-8")
    return folder


def mistakes(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_station(tomllib.loads(text), Path("calibration/press"))
    return caught.value.mistakes


def test_a_product_and_a_camera_are_enough(tmp_path: Path) -> None:
    read = read_station(station(tmp_path, LEAST))
    assert (read.name, read.default_product, read.mqtt.port, read.model.checkpoint) == ("press", "strip", 1883, "inspector-edge")
    assert [region.box_px for region in read.region_list()] == [None]


def test_relative_paths_are_taken_from_the_stations_folder(tmp_path: Path) -> None:
    folder = station(tmp_path, LEAST)
    read = read_station(folder)
    assert read.folder == folder
    assert read.resolve(Path("frames")) == folder / "frames"
    assert read.resolve(Path("/srv/frames")) == Path("/srv/frames")


def test_a_report_encoder_is_a_name_or_a_folder_beside_the_settings(tmp_path: Path) -> None:
    folder = station(tmp_path, LEAST + '[reports]\nencoder = "encoder"\n')
    assert read_station(folder).encoder == "encoder"
    (folder / "encoder").mkdir()
    assert read_station(folder).encoder == str(folder / "encoder")


def test_settings_never_change_after_reading(tmp_path: Path) -> None:
    read = read_station(station(tmp_path, LEAST))
    with pytest.raises(ValidationError):
        read.mqtt.port = 1  # type: ignore[misc]


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    found = mistakes("""
        [station]
        product = "plate"
        lin = "line1"
        [products.strip]
        labels = ["good", "good", " "]
        good = "fine"
        severity = { good = "fatal", dent = "minor" }
        [cameras.line]
        kind = "rtsp"
        rate_hz = true
        loop = true
        watch = true
        [camera.other]
        kind = "folder"
        [regions.rim]
        box_px = [0, 0, 10]
        [mqtt]
        port = 70000
        host = "broker.plant"
        cert_file = "a.pem"
        root = "/plant"
        enabled = "yes"
        [quality]
        blur_min = nan
    """)
    assert sorted(found) == sorted(
        [
            "station.lin: unknown key; did you mean 'line'?",
            'station.product: "plate" is not one of the products strip',
            "products.strip.labels[2]: a label may not be empty",
            "products.strip.labels: 'good' is listed more than once",
            'products.strip.severity.good: must be one of minor, major, critical (found "fatal")',
            "cameras.line.rate_hz: must be a number (found true)",
            'cameras.line.url: kind = "rtsp" needs this key',
            "cameras.line.watch: loop and watch exclude each other: choose one",
            "camera: unknown table; did you mean 'cameras'?",
            "regions.rim.box_px: value number 4 is missing (found [0, 0, 10])",
            "mqtt.port: must be 65535 or less (found 70000)",
            'mqtt.root: "/plant" may not be empty, hold + # $ or an empty level, or begin or end with a slash',
            'mqtt.enabled: must be true or false, without quotes (found "yes")',
            "mqtt.key_file: cert_file and key_file belong together: give both or neither",
            'mqtt.insecure: host = "broker.plant" is another machine: set ca_file for TLS, or insecure = true to accept plain MQTT',
            "quality.blur_min: must be a number, not nan or inf (found nan)",
        ]
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[mqtt]\nport = "1883"', 'mqtt.port: must be a whole number (found "1883")'),
        ("[mqtt]\nport = 18.5", "mqtt.port: must be a whole number (found 18.5)"),
        ("[mqtt]\nhost = 5", "mqtt.host: must be text in quotes (found 5)"),
        ("[log]\npath = 5", "log.path: must be a path in quotes (found 5)"),
        ('[model]\nproviders = "CPU"', 'model.providers: must be a list in square brackets (found "CPU")'),
        ("[model]\nthreads = 0", "model.threads: must be 1 or more (found 0)"),
        ("[health]\nstop_timeout_s = 0", "health.stop_timeout_s: must be more than 0 (found 0)"),
        ('[log]\nkeep_images = "fial"', "log.keep_images: must be one of none, fail, review, all (found \"fial\"); did you mean 'fail'?"),
        ("[cameras.two]\nkind = 'device'\ndevice = 1.5", "cameras.two.device: must be a whole number or text in quotes (found 1.5)"),
        ("[regions]\nbox_px = [0, 0, 1, 1]", "regions.box_px: must stand in a table with a name: [regions.NAME]"),
        ("[regions.a]\nbox_px = [0, 0, 1, 1, 1]", "regions.a.box_px: must have 4 values, has 5"),
        (
            '[regions."the rim"]\nbox_px = [0, 0, 1, 1]',
            'regions."the rim": a name takes letters, digits and _ . - and begins with a letter or digit (found "the rim")',
        ),
        ("[reports]\ncolumns = { text = 3 }", "reports.columns.text: must be text in quotes (found 3)"),
        ('[log]\npath = "a\\u0000b"', "log.path: a path may not hold the character NUL"),
    ],
)
def test_a_mistake_is_said_in_words_of_the_file(line: str, said: str) -> None:
    assert mistakes(f"{LEAST}\n{line}") == [said]


def test_what_is_left_out_is_named() -> None:
    assert mistakes("") == ["products: required, but missing", "cameras: required, but missing"]


def test_the_stations_name_is_no_setting() -> None:
    assert mistakes(f'name = "x"\nmodle = 1\n{LEAST}') == [
        "name: not a setting; the station's name and place are those of its folder",
        "modle: unknown key; did you mean 'model'?",
    ]


def test_several_products_need_a_default() -> None:
    two = LEAST + '[products.plate]\nlabels = ["a", "b"]\n'
    assert mistakes(two) == ["station.product: needed, because there are several products (strip, plate)"]
    assert parse_station(tomllib.loads(f'{two}[station]\nproduct = "plate"'), Path("x")).default_product == "plate"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[log]\nkeep_days = 1\nkeep_days = 2",
            "line 3: this key or table is given twice; remove one of the two (the line reads: keep_days = 2)",
        ),
        ("[log]\n[mqtt]\n[log]\n", "line 3: the table [log] stands twice in the file; put its keys together (the line reads: [log])"),
        (
            "[log]\nkeep_images = all",
            'line 2: no valid value; text stands in quotes, as in key = "text" (the line reads: keep_images = all)',
        ),
        ("a = " + "[" * 5000, "tables or lists are nested too deep"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_station(station(tmp_path, text))
    assert caught.value.mistakes == [said]
    assert str(tmp_path) in str(caught.value)


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = station(tmp_path, "")
    (folder / "station.toml").write_bytes(LEAST.encode() + '\n[station]\nline = "Straße"'.encode("latin-1"))
    with pytest.raises(SettingsError, match="line 11: not UTF-8; save the file as UTF-8"):
        read_station(folder)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    folder = station(tmp_path, "")
    (folder / "station.toml").write_text(LEAST, encoding="utf-8-sig")
    assert read_station(folder).name == "press"


def test_a_misspelt_station_gets_a_suggestion(tmp_path: Path) -> None:
    folder = station(tmp_path, LEAST)
    with pytest.raises(SettingsError, match="did you mean 'press'"):
        read_station(folder.parent / "pres")
    with pytest.raises(SettingsError, match="inspector init zzz --template surface"):
        read_station(folder.parent / "zzz")


def test_a_wrong_section_leaves_the_others_usable() -> None:
    text = LEAST + '[mqtt]\nport = "x"\n[log]\nkeep_days = 5\n[cameras.two]\nkind = "tape"\n'
    found, broken = usable_parts(tomllib.loads(text), Path("calibration/press"))
    assert broken == {"mqtt", "cameras.two"}
    assert found.log.keep_days == 5
    assert list(found.cameras) == ["line"]
    assert found.mqtt.port == 1883


keys = st.sampled_from([*StationSettings.model_fields, "kind", "path", "labels", "good", "box_px", "device", "port", "host"]) | st.text(
    max_size=8
)
scalars = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["folder", "device", "rtsp", "a", "b"])
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.times()
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=20)
SECTIONS: dict[str, st.SearchStrategy[Any]] = {
    "products": st.dictionaries(
        keys, st.fixed_dictionaries({}, optional={"labels": st.lists(scalars, max_size=4), "good": scalars, "severity": values})
    ),
    "cameras": st.dictionaries(
        keys, st.fixed_dictionaries({}, optional={"kind": scalars, "path": scalars, "device": scalars, "url": scalars, "rate_hz": scalars})
    ),
    "regions": st.dictionaries(keys, st.fixed_dictionaries({}, optional={"box_px": st.lists(scalars, max_size=5)})),
    "mqtt": st.fixed_dictionaries(
        {}, optional={"root": scalars, "host": scalars, "ca_file": scalars, "key_file": scalars, "insecure": scalars}
    ),
    "station": st.fixed_dictionaries({}, optional={"product": scalars, "site": scalars}),
}


@given(st.dictionaries(keys, values, max_size=6) | st.fixed_dictionaries({}, optional=SECTIONS))
@settings(max_examples=300, deadline=None)
def test_any_table_gives_settings_or_a_settings_error(table: dict[str, Any]) -> None:
    parsed = outcome(table)
    if isinstance(parsed, SettingsError):
        assert all(parsed.mistakes)
        usable_parts(table, Path("calibration/press"))
    else:
        assert not [line for product in parsed.products.values() for line in product.label_set().mistakes()]


def outcome(table: dict[str, Any]) -> StationSettings | SettingsError:
    try:
        return parse_station(table, Path("calibration/press"))
    except SettingsError as error:
        return error


@given(st.text() | st.binary())
@settings(max_examples=200, deadline=None)
def test_any_file_gives_settings_or_a_settings_error(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "station.toml").write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError):  # no random text holds a product and a camera
        read_station(folder)


def test_without_calibration_files_defaults_hold(tmp_path: Path) -> None:
    assert read_decision(tmp_path, "strip") == DecisionCalibration()
    assert read_camera_calibration(tmp_path, "line") == CameraCalibration()


def test_a_product_without_a_table_has_defaults(tmp_path: Path) -> None:
    (tmp_path / "decision.toml").write_text("[plate]\ntemperature = 2.0\n")
    assert read_decision(tmp_path, "strip") == DecisionCalibration()
    assert read_decision(tmp_path, "plate").temperature == 2.0


def test_decision_toml_is_read_in_full(tmp_path: Path) -> None:
    (tmp_path / "decision.toml").write_text(
        "[strip]\ntemperature = 1.4\npass_above = 0.93\nfail_above = 0.55\nfitted_on = 110\ntarget_escape = 0.01\nece = 0.02\n"
        "calibrated_at = 2026-11-23T14:00:00+01:00\n"
    )
    expected = DecisionCalibration(1.4, 0.93, 0.55, 110, 0.01, 0.02, datetime(2026, 11, 23, 13, tzinfo=UTC))
    assert read_decisions(tmp_path) == {"strip": expected}


def test_thresholds_set_by_hand_overrule_the_fit(tmp_path: Path) -> None:
    (tmp_path / "decision.toml").write_text("[strip]\npass_above = 0.93\nfail_above = 0.55\n")
    read = parse_station(tomllib.loads(LEAST + "[decision]\nfail_above = 0.7\n"), tmp_path)
    used = read.override(read_decision(tmp_path, "strip"))
    assert (used.pass_above, used.fail_above) == (0.93, 0.7)


def test_camera_toml_is_read_in_full(tmp_path: Path) -> None:
    (tmp_path / "camera.toml").write_text(
        "[line]\ncamera_matrix = [[800.0, 0.0, 320.0], [0.0, 800, 240], [0, 0, 1]]\ndist_coeffs = [0.1, 0, 0, 0]\nmm_per_px = 0.05\n"
        "luminance_range = [40, 210]\nblur_min = 35.0\ncalibrated_at = 2026-11-23T14:00:00\n"
    )
    read = read_camera_calibration(tmp_path, "line")
    assert read.camera_matrix == ((800.0, 0.0, 320.0), (0.0, 800.0, 240.0), (0.0, 0.0, 1.0))
    assert (read.dist_coeffs, read.mm_per_px, read.luminance_range, read.blur_min) == ((0.1, 0.0, 0.0, 0.0), 0.05, (40.0, 210.0), 35.0)
    assert read.calibrated_at == datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_calibration_that_does_not_fit_lists_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "camera.toml").write_text(
        "loose = 1\n[line]\ndist_coeffs = [1.0]\ncamera_matrix = [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]\n"
        "luminance_range = [9, 3]\n"
        "mm_per_pixel = 1\n[other]\ndist_coeffs = [1.0, 0.0, 0.0, 0.0]\n"
    )
    with pytest.raises(CalibrationError) as caught:
        read_camera_calibration(tmp_path, "line")
    head, *lines = str(caught.value).splitlines()
    assert head == f"{tmp_path / 'camera.toml'}: 6 mistakes"
    assert lines == [
        "  - loose: must be a table (found 1)",
        "  - line.camera_matrix: must read [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0",
        "  - line.dist_coeffs: must have 4, 5, 8, 12 or 14 values, has 1",
        "  - line.luminance_range: must be [low, high] with 0 <= low < high <= 255 (found [9.0, 3.0])",
        "  - line.mm_per_pixel: unknown key; did you mean 'mm_per_px'?",
        "  - other.dist_coeffs: means nothing without camera_matrix; give both or neither",
    ]


@pytest.mark.parametrize(
    "text", ["[strip]\npass_above = 1.2\n", "[strip]\ntemperature = 0\n", "[strip\n", "strip = 1", "[strip]\nece = inf"]
)
def test_a_broken_decision_toml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "decision.toml").write_text(text)
    with pytest.raises(CalibrationError, match=r"decision\.toml"):
        read_decision(tmp_path, "strip")


def test_an_instant_outside_the_calendar_is_refused(tmp_path: Path) -> None:
    instant = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    (tmp_path / "decision.toml").write_text(f"[strip]\ncalibrated_at = {instant.isoformat()}\n")
    with pytest.raises(CalibrationError, match="outside the calendar"):
        read_decision(tmp_path, "strip")
