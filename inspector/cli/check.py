"""``inspector check``: everything a station needs, one line each; exit code 1 if a part is at fault.

All checks run, whatever the others find. Where some sections of station.toml are wrong, the checks that need only the right ones run too.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import click

from inspector.cli.broker_check import check_broker
from inspector.cli.findings import Check, Found, Subject, error_lines, fault, note, ok
from inspector.cli.normality_check import check_normality
from inspector.cli.station_checks import (
    check_camera_calibration,
    check_cameras,
    check_decision,
    check_disk,
    check_encoder,
    check_labels,
    check_log,
    check_model,
    check_parity,
    check_promise,
)
from inspector.errors import InspectorError, SettingsError
from inspector.settings import StationSettings, parse_station, read_station_table, usable_parts

CHECKS = (
    Check("decision", ("products", "decision"), check_decision),
    Check("normality", ("model", "products"), check_normality),
    Check("calibration", ("cameras",), check_camera_calibration),
    Check("model", ("model",), check_model),
    Check("parity", ("model", "log"), check_parity),
    Check("promise", ("model", "products"), check_promise),
    Check("labels", ("model", "products"), check_labels),
    Check("encoder", ("model", "reports"), check_encoder),
    Check("camera", ("cameras",), check_cameras),
    Check("broker", ("mqtt",), check_broker),
    Check("disk", ("log",), check_disk),
    Check("log", ("log",), check_log),
)
"""Every check after that of the settings, in the order of the output."""

_COLOURS = {"ok": "green", "note": "yellow", "FAULT": "red"}


@click.command
@click.argument("station")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all findings.")
@click.pass_obj
def command(root: Path, station: str, as_json: bool) -> None:
    """Test settings, calibration, model, labels, report encoder, cameras, broker, disk and log of STATION.

    Prints one line for each finding: ok, note (works, but look at it) or FAULT. Exits with 1 if there is a FAULT.
    """
    found = []
    for line in examine(root, station):
        found.append(line)
        if not as_json:
            tell_finding(line)
    faults = sum(line.state == "FAULT" for line in found)
    if as_json:
        click.echo(
            json.dumps({"station": station, "ok": not faults, "findings": [asdict(line) for line in found]}, ensure_ascii=False, indent=2)
        )
    else:
        click.echo(f"{station}: " + (f"{faults} fault{'s' if faults > 1 else ''}" if faults else "ready"))
    if faults:
        raise click.exceptions.Exit(1)


def tell_finding(line: Found) -> None:
    """Print one finding; a pipe gets no colours: click strips them."""
    click.echo(f"{line.check:<12} {click.style(f'{line.state:<5}', fg=_COLOURS[line.state])} {line.text}")


def examine(root: Path, station: str) -> Iterator[Found]:
    """Run every check on a station and yield what they find, in order, as it is found."""
    folder = root / "calibration" / station
    try:
        table = read_station_table(folder)
    except SettingsError as error:
        yield from (replace(fault(line), check="settings") for line in error_lines(error))
        return
    try:
        subject = Subject(root, folder, parse_station(table, folder))
        yield replace(ok(_described(subject.settings)), check="settings")
    except SettingsError as error:
        yield from (replace(fault(line), check="settings") for line in error_lines(error))
        subject = Subject(root, folder, *usable_parts(table, folder))
    for check in CHECKS:
        for found in _run(check, subject):
            yield replace(found, check=check.name)


def _run(check: Check, subject: Subject) -> Iterator[Found]:
    """Run one check; whatever it raises is a finding, so that the next one runs too."""
    missing = sorted(key for key in subject.broken if key.partition(".")[0] in check.needs)
    whole = [key for key in missing if "." not in key]
    if missing:
        yield note(f"not checked: [{'], ['.join(missing)}] of station.toml must be right first")
    if whole:
        return
    try:
        yield from check.look(subject)
    except InspectorError as error:
        yield from map(fault, error_lines(error))
    except Exception as error:  # noqa: BLE001  # a bug or a broken installation: name it and go on checking
        yield fault(f"the check itself failed: {type(error).__name__}: {' '.join(str(error).split())}")


def _described(settings: StationSettings) -> str:
    """Return what a station is made of."""
    parts = (("product", list(settings.products)), ("camera", list(settings.cameras)))
    counts = [f"{len(named)} {kind}{'s' if len(named) > 1 else ''} ({', '.join(named)})" for kind, named in parts]
    regions = f"{len(settings.regions)} region{'s' if len(settings.regions) > 1 else ''}" if settings.regions else "whole frame"
    return f"{settings.folder / 'station.toml'}: {', '.join([*counts, regions])}"
