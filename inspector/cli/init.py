"""``inspector init``: a station's folder from a template."""

import json
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import click

from inspector.errors import SettingsError
from inspector.settings import StationSettings, parse_station

TEMPLATES = ("surface", "pcb", "solar", "machine-element")
"""Templates that ship with the package."""

_PRODUCT = re.compile(r"^(\[products\.)([A-Za-z0-9-]+)", re.MULTILINE)
_PATH = re.compile(r'^path = "frames"', re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_README = """\
# Station {name}

| file | what it holds |
|---|---|
| station.toml | the settings; every key is explained in docs/settings.md |
| frames/ | pictures to judge, where the camera is a folder |
| decision.toml | measured: temperature and thresholds of each product (none yet: defaults hold) |
| camera.toml | measured: lens, scale, light and focus of each camera (none yet: nothing is corrected) |

    inspector check {name}                       test everything the station needs
    inspector reports import {name} FILE...      past QC reports (CSV, JSONL or a folder of texts)
    inspector run {name}                         judge what the camera delivers
    inspector log {name}                         see the verdicts
"""


@click.command
@click.argument("station")
@click.option("--template", "-t", type=click.Choice(TEMPLATES), required=True, help="What kind of station it is.")
@click.option("--product", metavar="NAME", help="Name of the product; default: the template's.")
@click.option("--camera-path", metavar="PATH", help="Folder that the camera writes to; default: frames/ in the station's folder.")
@click.pass_obj
def command(root: Path, station: str, template: str, product: str | None, camera_path: str | None) -> None:
    """Make the folder calibration/STATION from a template. An existing station is never overwritten."""
    _refuse_bad_name("STATION", station)
    if product is not None:
        _refuse_bad_name("--product", product)
    folder = root / "calibration" / station
    if folder.exists():
        raise SettingsError(str(folder), ["exists already and is not overwritten; choose another name, or remove the folder first"])
    text = filled(read_template(template), product=product, camera_path=camera_path)
    settings = parse_station(tomllib.loads(text), folder)
    _write(folder, {"station.toml": text, "README.md": _README.format(name=station)})
    for line in _next_steps(folder, settings):
        click.echo(line)


def read_template(name: str) -> str:
    """Return the text of a shipped template."""
    return files("inspector").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")


def filled(template: str, *, product: str | None, camera_path: str | None) -> str:
    """Return a template's text with its product renamed and its camera pointed elsewhere."""
    text = template
    if product is not None:
        text = _PRODUCT.sub(lambda found: found[1] + _key(product), text)
    if camera_path is not None:
        # JSON's strings are TOML's, DEL aside.
        path = json.dumps(str(Path(camera_path).absolute()), ensure_ascii=False).replace("\x7f", "\\u007f")
        text = _PATH.sub(lambda _: f"path = {path}", text)
    return text


def _key(name: str) -> str:
    """Return a name as a TOML key: a dot in it would begin a new table."""
    return json.dumps(name) if "." in name else name


def _refuse_bad_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f'{what} "{name}": a name becomes a folder and an MQTT topic, so it takes letters, digits and _ . - alone, begins with a letter'
            " or digit and has 64 of them at most"
        )


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the station's folder. Raises ``SettingsError`` if that is not possible."""
    try:
        (folder / "frames").mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(str(folder), [f"cannot be written: {error.strerror}; choose a writable folder with --root"]) from error


def _next_steps(folder: Path, settings: StationSettings) -> list[str]:
    """Return what to do with a new station, in order."""
    sources = [settings.resolve(camera.path) for camera in settings.cameras.values() if camera.path is not None]
    return [
        f"{folder}: new station for {', '.join(settings.products)}",
        "Next:",
        f"  1. read and adapt {folder / 'station.toml'}: camera, labels, broker",
        f"  2. inspector check {settings.name}",
        f"  3. put pictures into {', '.join(map(str, sources))}",
        f"  4. inspector run {settings.name}",
    ]
