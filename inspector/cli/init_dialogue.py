"""The dialogue of ``inspector init``: a few questions with answers that can be taken as they are."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from inspector.cli.init_answers import CAMERA_HELP, Broker, Draft, broker_of, camera_keys, label_list
from inspector.cli.init_cameras import first_frame, found_cameras, show
from inspector.edge.log import database_path
from inspector.errors import CameraError
from inspector.settings import parse_station

KINDS: Mapping[str, str] = {
    "own": "a product of your own",
    "surface": "hot-rolled steel strip, surface defects",
    "pcb": "bare printed circuit boards",
    "solar": "solar cells, electroluminescence",
    "machine-element": "ball screws, pitting",
}
"""Templates, and what each is for."""


def ask_template() -> str:
    """Ask what kind of station it is."""
    click.echo("What is inspected?")
    for name, words in KINDS.items():
        click.echo(f"  {name:<16} {words}")
    return str(click.prompt("Kind", type=click.Choice(list(KINDS)), default="own", show_choices=False))


def ask_labels() -> tuple[tuple[str, ...], str | None]:
    """Ask for the labels, and which of them means "no defect"."""
    click.echo("The model can answer with the labels that you list, and with nothing else. Good parts alone are enough for a first day.")
    while True:
        labels = label_list(str(click.prompt("Labels, with commas", default="good, defect")))
        if labels and len(set(labels)) == len(labels):
            break
        click.echo("At least one label, and none of them twice.")
    likely = next((label for label in labels if label.lower() in {"good", "ok", "no_defect"}), labels[0])
    good = str(click.prompt('Which of them means "no defect" ("-": none, then nothing can pass)', default=likely))
    while good != "-" and good not in labels:
        good = str(click.prompt(f"One of {', '.join(labels)}, or -", default=likely))
    return labels, None if good == "-" else good


def ask_camera(own_folder: Path, devices: Path = Path("/dev")) -> str:
    """Offer the cameras that are found and ask for one of them, or for another source."""
    click.echo("Looking for cameras ...")
    found = [*found_cameras(devices), (str(own_folder), "a folder that pictures are put into")]
    for number, (source, words) in enumerate(found, 1):
        click.echo(f"  {number}  {source}  ({words})")
    while True:
        chosen = str(click.prompt(f"Its number, or {CAMERA_HELP}", default="1"))
        source = found[int(chosen) - 1][0] if chosen.isdigit() and 1 <= int(chosen) <= len(found) else chosen
        try:
            camera_keys(source)
        except click.BadParameter as error:
            click.echo(error.message)
        else:
            return source


def ask_reports() -> tuple[Path, ...]:
    """Ask for files with past QC reports."""
    while True:
        text = str(
            click.prompt("Past QC reports: a CSV or JSONL file, or a folder of texts (empty: none yet)", default="", show_default=False)
        )
        if not text.strip():
            return ()
        if Path(text.strip()).exists():
            return (Path(text.strip()),)
        click.echo(f"{text.strip()}: there is no such file or folder")


def ask_broker() -> Broker:
    """Ask where results go; plain MQTT to another machine needs a clear word."""
    while True:
        try:
            broker = broker_of(
                str(click.prompt("MQTT broker, HOST or HOST:PORT (none: results stay in the log)", default="127.0.0.1:1883"))
            )
            break
        except click.BadParameter as error:
            click.echo(error.message)
    if not broker.is_elsewhere:
        return broker
    ca_file = str(click.prompt("File of its certificate authority, for TLS (empty: plain MQTT)", default="", show_default=False))
    if ca_file.strip():
        return replace(broker, ca_file=Path(ca_file.strip()))
    if click.confirm("Plain MQTT can be read and forged by anyone on the way. Is that network closed?", default=False):
        return replace(broker, insecure=True)
    click.echo("Then results stay in the log for now; set [mqtt] in station.toml once there is a certificate.")
    return Broker("")


def guided_through(draft: Draft) -> Draft:
    """Ask for everything that no option has said, and show what the camera sees; return the whole draft."""
    if not draft.template:
        draft = replace(draft, template=ask_template())
    answers = draft.answers
    if answers.product is None:
        answers = replace(answers, product=str(click.prompt("Name of the product", default=draft.product)))
    if answers.labels is None and (draft.template == "own" or not click.confirm("Keep the template's labels?", default=True)):
        labels, good = ask_labels()
        answers = replace(answers, labels=labels, good=good)
    draft = replace(draft, answers=answers)
    if answers.camera is None and draft.camera_path is None:
        draft = _with_camera(draft)
    if not draft.reports:
        draft = replace(draft, reports=ask_reports())
    return draft if draft.answers.broker is not None else replace(draft, answers=replace(draft.answers, broker=ask_broker()))


def _with_camera(draft: Draft) -> Draft:
    """Ask for a camera until a person says that its picture is the right one."""
    own_folder = draft.folder / "frames"
    while True:
        source = ask_camera(own_folder)
        chosen = draft if source == str(own_folder) else replace(draft, answers=replace(draft.answers, camera=camera_keys(source)))
        if chosen is draft or _is_right(chosen):
            return chosen


def _is_right(draft: Draft) -> bool:
    """Take a picture, show it and ask."""
    settings = parse_station(tomllib.loads(draft.text()), draft.folder)
    try:
        frame = first_frame(settings)
    except CameraError as error:
        click.echo(f"no picture: {error}")
        return click.confirm("Take this camera all the same?", default=False)
    if frame is None:
        click.echo("It holds no picture yet.")
        return click.confirm("Take it all the same?", default=True)
    show(frame.image, database_path(settings, draft.root).parent / "first-picture.png")
    return click.confirm("Is this the right picture?", default=True)
