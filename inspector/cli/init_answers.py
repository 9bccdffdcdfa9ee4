"""What a new station is made of: the answers of the dialogue or of the flags, and how they change a template. Pure."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from inspector.cli.init_template import filled, read_template, with_camera

CAMERA_HELP = "FOLDER or video file, device:0, /dev/video0, rtsp://..., genicam:SERIAL"
_LOCAL = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where results go."""

    host: str
    """Name or address; empty: results stay in the log."""
    port: int = 1883
    """Its port."""
    ca_file: Path | None = None
    """Certificate authority; switches TLS on."""
    username: str | None = None
    """User name."""
    password_file: Path | None = None
    """File that holds the password."""
    insecure: bool = False
    """True accepts plain MQTT to another machine."""

    @property
    def is_elsewhere(self) -> bool:
        """True if the broker is another machine."""
        return bool(self.host) and self.host not in _LOCAL


@dataclass(frozen=True, slots=True)
class Answers:
    """What the settings of a new station are to say beside the template; None leaves the template's."""

    product: str | None = None
    """Name of the product."""
    labels: tuple[str, ...] | None = None
    """Its labels."""
    good: str | None = None
    """The label that means "no defect"."""
    camera: dict[str, Any] | None = None
    """Keys of the camera's table."""
    broker: Broker | None = None
    """Where results go."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A station that is about to be made."""

    root: Path
    """Folder that holds calibration/ and models/."""
    station: str
    """Name of the station."""
    template: str
    """Name of the template; empty: not chosen yet."""
    camera_path: str | None
    """Folder that the camera writes to, if the template's is not meant."""
    answers: Answers
    """What the settings say beside the template."""
    reports: tuple[Path, ...] = ()
    """Files with past QC reports."""

    @property
    def folder(self) -> Path:
        """The station's folder."""
        return self.root / "calibration" / self.station

    @property
    def product(self) -> str:
        """Name of the template's product."""
        return str(next(iter(tomllib.loads(read_template(self.template))["products"])))

    @property
    def is_learnt(self) -> bool:
        """True if the shipped model has seen such a product."""
        return self.template in {"surface", "machine-element"} and self.answers.labels is None

    def text(self) -> str:
        """Return the text of station.toml."""
        return applied(filled(read_template(self.template), product=self.answers.product, camera_path=self.camera_path), self.answers)


def camera_keys(source: str) -> dict[str, Any]:
    """Return the keys of a camera's table for what a user calls it. Raises ``BadParameter`` for what is none of them."""
    kind, _, name = source.strip().partition(":")
    if re.fullmatch(r"rtsps?|https?|tcp", kind) and name.startswith("//"):
        return {"kind": "rtsp", "url": source.strip()}
    if kind == "genicam" and name.strip():
        return {"kind": "genicam", "device": name.strip()}
    if kind == "device" and name.strip():
        return {"kind": "device", "device": int(name) if name.strip().isdigit() else name.strip()}
    if re.fullmatch(r"/dev/video\d+", source.strip()):
        return {"kind": "device", "device": source.strip()}
    path = Path(source.strip()).absolute()
    if path.is_file():
        return {"kind": "video", "path": str(path)}
    if source.strip() and (path.is_dir() or not path.suffix):
        return {"kind": "folder", "path": str(path), "watch": True}
    raise click.BadParameter(f"{source!r} is no camera: {CAMERA_HELP}", param_hint="--camera")


def label_list(text: str) -> tuple[str, ...]:
    """Return the labels in a text with commas."""
    return tuple(label.strip() for label in text.split(",") if label.strip())


def broker_of(text: str) -> Broker:
    """Return the broker in HOST, HOST:PORT or ``none``. Raises ``BadParameter``."""
    if text.strip().lower() == "none":
        return Broker("")
    address = text.strip()
    host, port = address.rsplit(":") if address.count(":") == 1 else (address, "1883")  # more colons: an IPv6 address
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise click.BadParameter(f"{text!r} is not HOST, HOST:PORT or none", param_hint="--broker")
    return Broker(host, int(port))


def applied(template: str, answers: Answers) -> str:
    """Return a template's text with the answers in it; comments and order stay."""
    import tomlkit  # noqa: PLC0415 - quick --help

    document: Any = tomlkit.parse(template if answers.camera is None else with_camera(template, answers.camera))
    (product,) = document["products"].values()
    if answers.labels is not None:
        _label(product, answers.labels, answers.good)
    if answers.broker is not None:
        _connect(document.setdefault("mqtt", tomlkit.table()), answers.broker)
    return str(tomlkit.dumps(document))


def _label(product: Any, labels: Sequence[str], good: str | None) -> None:  # noqa: ANN401 - a table of tomlkit
    """Give a product other labels; names and severities of labels that it no longer has go."""
    product["labels"] = list(labels)
    if good is None:
        product.pop("good", None)
    else:
        product["good"] = good
    for table in ("display", "severity"):
        for name in [name for name in product.get(table, {}) if name not in labels]:
            product[table].pop(name)


def _connect(mqtt: Any, broker: Broker) -> None:  # noqa: ANN401 - as above
    """Write the broker into its table."""
    if not broker.host:
        mqtt["enabled"] = False
        return
    mqtt["host"], mqtt["port"] = broker.host, broker.port
    for key, path in (("ca_file", broker.ca_file), ("password_file", broker.password_file)):
        if path is not None:
            mqtt[key] = str(path.absolute())
    if broker.username is not None:
        mqtt["username"] = broker.username
    if broker.insecure:
        mqtt["insecure"] = True
