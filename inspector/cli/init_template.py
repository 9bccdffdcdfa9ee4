"""The templates of ``inspector init``: their texts, and a product renamed or a folder named in them."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

TEMPLATES = ("own", "surface", "pcb", "solar", "machine-element")
"""Templates that ship with the package."""

_PRODUCT = re.compile(r"^(\[products\.)([A-Za-z0-9-]+)", re.MULTILINE)
_PATH = re.compile(r'^path = "frames"', re.MULTILINE)


def read_template(name: str) -> str:
    """Return the text of a shipped template."""
    return files("inspector").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")


def filled(template: str, *, product: str | None, camera_path: str | None) -> str:
    """Return a template's text with its product renamed and its camera pointed elsewhere."""
    text = template
    if product is not None:
        text = _PRODUCT.sub(lambda found: found[1] + _key(product), text)
    if camera_path is not None:
        path = _value(str(Path(camera_path).absolute()))
        text = _PATH.sub(lambda _: f"path = {path}", text)
    return text


def with_camera(template: str, keys: Mapping[str, Any]) -> str:
    """Return a template's text with another camera in place of its folder, where the folder stood."""
    kind, *others = (f"{key} = {_value(value)}" for key, value in keys.items() if key != "watch")
    lines = iter((kind, "\n".join(others)))
    text = re.sub(r'^(?:kind = "folder"|path = "frames").*$', lambda _: next(lines), template, flags=re.MULTILINE)
    return text if keys.get("watch") else re.sub(r"^watch = .*\n", "", text, flags=re.MULTILINE)


def _value(value: str | int) -> str:
    """Return a value as TOML writes it; JSON's strings are TOML's, DEL aside."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """Return a name as a TOML key: a dot in it would begin a new table."""
    return json.dumps(name) if "." in name else name
