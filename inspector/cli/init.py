"""``inspector init``: a station's folder from a template, by options or by a short dialogue."""

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from inspector.cli.init_answers import CAMERA_HELP, Answers, Broker, Draft, broker_of, camera_keys, label_list
from inspector.cli.init_template import TEMPLATES
from inspector.errors import SettingsError
from inspector.settings import StationSettings, parse_station

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
@click.option(
    "--template", "-t", type=click.Choice(TEMPLATES), help="What kind of station it is. Without it, in a terminal, you are asked."
)
@click.option("--product", metavar="NAME", help="Name of the product; default: the template's.")
@click.option("--labels", metavar="A,B,C", help="Labels of the product; default: the template's.")
@click.option("--good", metavar="LABEL", help='Which of --labels means "no defect"; left out: none, then nothing can pass.')
@click.option("--camera", metavar="SOURCE", help=f"{CAMERA_HELP}; default: the folder frames/.")
@click.option("--camera-path", metavar="PATH", help="Folder that the camera writes to; default: frames/ in the station's folder.")
@click.option("--reports", multiple=True, type=click.Path(exists=True, path_type=Path), help="Past QC reports to import; may be repeated.")
@click.option("--broker", metavar="HOST[:PORT]", help='MQTT broker, or "none": results stay in the log.')
@click.option("--broker-ca", type=click.Path(path_type=Path), metavar="FILE", help="Its certificate authority; switches TLS on.")
@click.option("--broker-user", metavar="NAME", help="User name at the broker.")
@click.option("--broker-password-file", type=click.Path(path_type=Path), metavar="FILE", help="File with the password, mode 0600.")
@click.option("--insecure", is_flag=True, help="Accept plain MQTT to a broker on another machine.")
@click.option("--guided/--not-guided", default=None, help="Ask for what no option says. Default: in a terminal without --template.")
@click.option("--check/--no-check", "wants_check", default=None, help="End with a check and a first verdict. Default: if guided.")
@click.pass_context
def command(
    ctx: click.Context,
    station: str,
    template: str | None,
    product: str | None,
    labels: str | None,
    good: str | None,
    camera: str | None,
    camera_path: str | None,
    reports: tuple[Path, ...],
    broker: str | None,
    broker_ca: Path | None,
    broker_user: str | None,
    broker_password_file: Path | None,
    insecure: bool,
    guided: bool | None,
    wants_check: bool | None,
) -> None:
    """Make the folder calibration/STATION from a template, or by a few questions. An existing station is never overwritten.

    Guided, it finds the cameras, shows what the chosen one sees, asks for product, labels, past reports and broker, checks everything and
    judges a first picture. Every answer can be given as an option instead. With a check it exits with 1 if something is to be cured.
    """
    root: Path = ctx.obj
    folder = _new_folder(root, station)
    is_guided = guided if guided is not None else template is None and sys.stdin.isatty()
    if template is None and not is_guided:
        raise click.UsageError(f"Missing option '--template' / '-t': {', '.join(TEMPLATES)}; or --guided: be asked")
    if camera is not None and camera_path is not None:
        raise click.UsageError("--camera and --camera-path name two cameras; give one")
    if labels is None and good is not None:
        raise click.UsageError("--good needs --labels")
    named = _broker(broker, broker_ca, broker_user, broker_password_file, insecure=insecure)
    answers = Answers(product, None if labels is None else label_list(labels), good, None if camera is None else camera_keys(camera), named)
    draft = Draft(root, station, template or "", camera_path, answers, reports)
    if is_guided:
        from inspector.cli.init_dialogue import guided_through  # noqa: PLC0415 - quick --help

        draft = guided_through(draft)
    settings = _made(folder, draft)
    if wants_check if wants_check is not None else is_guided:
        from inspector.cli.init_finish import finish  # noqa: PLC0415 - quick --help

        if not finish(ctx, root, settings, draft.reports, is_learnt=draft.is_learnt):
            raise click.exceptions.Exit(1)
    elif draft.reports:
        from inspector.cli.reports import import_reports  # noqa: PLC0415 - quick --help

        ctx.invoke(import_reports, station=station, files=draft.reports)


def _new_folder(root: Path, station: str) -> Path:
    """Return the folder of a new station. Raises ``UsageError`` or ``SettingsError`` if it cannot be made so."""
    _refuse_bad_name("STATION", station)
    folder = root / "calibration" / station
    if folder.exists():
        raise SettingsError(str(folder), ["exists already and is not overwritten; choose another name, or remove the folder first"])
    return folder


def _broker(
    address: str | None, ca_file: Path | None, username: str | None, password_file: Path | None, *, insecure: bool
) -> Broker | None:
    """Return what the options say of the broker."""
    if address is not None:
        return replace(broker_of(address), ca_file=ca_file, username=username, password_file=password_file, insecure=insecure)
    if ca_file or username or password_file or insecure:
        raise click.UsageError("--broker-ca, --broker-user, --broker-password-file and --insecure need --broker")
    return None


def _made(folder: Path, draft: Draft) -> StationSettings:
    """Check and write the station's folder and tell what to do next; return its settings."""
    if draft.answers.product is not None:
        _refuse_bad_name("--product", draft.answers.product)
    text = draft.text()
    settings = parse_station(tomllib.loads(text), folder)
    _write(folder, {"station.toml": text, "README.md": _README.format(name=draft.station)})
    for line in _next_steps(folder, settings):
        click.echo(line)
    return settings


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
    sources = [settings.resolve(camera.path) for camera in settings.cameras.values() if camera.kind == "folder" and camera.path is not None]
    return [
        f"{folder}: new station for {', '.join(settings.products)}",
        "Next:",
        f"  1. read and adapt {folder / 'station.toml'}: camera, labels, broker",
        f"  2. inspector check {settings.name}",
        f"  3. put pictures into {', '.join(map(str, sources))}" if sources else "  3. see that the camera delivers",
        f"  4. inspector run {settings.name}",
    ]
