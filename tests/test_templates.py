import re
import tomllib
from pathlib import Path
from typing import get_args, get_origin

import pytest

from inspector.cli.init_template import TEMPLATES, filled, read_template
from inspector.settings import StationSettings, parse_station


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_a_station(name: str) -> None:
    settings = parse_station(tomllib.loads(read_template(name)), Path("calibration/press"))
    assert all(product.label_set().display.keys() == set(product.labels) for product in settings.products.values())
    assert all(camera.path == Path("frames") for camera in settings.cameras.values())


def test_every_template_is_offered() -> None:
    folder = Path(__file__).parents[1] / "inspector" / "templates"
    assert {path.stem for path in folder.glob("*.toml")} == set(TEMPLATES)


def test_the_surface_template_shows_every_key() -> None:
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", read_template("surface"), flags=re.MULTILINE)
    shown = {(line[1], found[1]) for line in _lines(text) if (found := re.match(r"([a-z_]+)\s*=", line[0]))}
    missing = []
    for key, field in StationSettings.model_fields.items():
        if key in {"name", "folder"}:
            continue
        section = get_args(field.annotation)[1] if get_origin(field.annotation) is dict else field.annotation
        assert section is not None
        tables = set(re.findall(rf"^\[{key}\.[^.\]]+\.(\w+)\]", text, flags=re.MULTILINE))
        missing += [f"{key}.{name}" for name in section.model_fields if (key, name) not in shown and name not in tables]
    assert missing == []


def test_the_surface_template_with_everything_switched_on_has_no_unknown_key() -> None:
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", read_template("surface"), flags=re.MULTILINE)
    text = text.replace('good = "no_defect"', "").replace("watch = true", "")
    assert parse_station(tomllib.loads(text), Path("calibration/press")).mqtt.username == "station1"


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("product", ["plate", "plate.v2", "7-b_c"])
def test_a_template_takes_another_product_and_camera_path(name: str, product: str, tmp_path: Path) -> None:
    path = tmp_path / 'with "quotes" and \\ and 漢字'
    settings = parse_station(tomllib.loads(filled(read_template(name), product=product, camera_path=str(path))), Path("calibration/press"))
    assert list(settings.products) == [product]
    assert all(camera.path == path for camera in settings.cameras.values())


def _lines(text: str) -> list[tuple[str, str]]:
    """Return (line, top-level table that it stands in) of a TOML text."""
    table, found = "", []
    for line in text.splitlines():
        if head := re.match(r"\[([a-z]+)", line):
            table = head[1]
        found.append((line, table))
    return found
