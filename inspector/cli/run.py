"""``inspector run``: the daemon of one station in the foreground, as systemd starts it."""

import signal
import sys
import threading
from pathlib import Path

import click

from inspector.errors import SettingsError
from inspector.settings import StationSettings


@click.command
@click.argument("station")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Overrule a setting for this run, such as mqtt.port=1884.")
@click.pass_obj
def command(root: Path, station: str, overrides: tuple[str, ...]) -> None:
    """Run STATION: cameras, model, log and MQTT, until SIGTERM or SIGINT, or until every replay is over.

    SIGTERM finishes the frames in hand, empties the outbox and ends within health.stop_timeout_s. What could not be published stays in the
    log and is published at the next start. SIGHUP reads thresholds, regions and calibration anew; what is
    wrong there changes nothing. On a terminal SIGHUP stops, as the closing of the window should.
    """
    from inspector.daemon import run  # noqa: PLC0415 - the model only where it is needed
    from inspector.orders import Rereading  # noqa: PLC0415 - as above
    from inspector.settings import parse_station, read_station_table  # noqa: PLC0415 - as above

    folder = root / "calibration" / station
    try:
        settings = parse_station(overruled(read_station_table(folder), overrides), folder)
    except SettingsError as error:
        if not overrides or error.source.startswith("--set"):
            raise
        # The keys alone: a value may be a password that was given in the wrong place.
        raise SettingsError(" ".join([error.source, *(f"--set {text.partition('=')[0]}" for text in overrides)]), error.mistakes) from None
    stop, reload_asked = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # On a terminal the signal says that the window was closed; from systemd it says "reload".
    hangup = stop if sys.stdin is not None and sys.stdin.isatty() else reload_asked
    signal.signal(signal.SIGHUP, lambda *_: hangup.set())

    def reread() -> StationSettings:
        return parse_station(overruled(read_station_table(folder), overrides), folder)

    run(settings, root, stop, lambda line: click.echo(line, err=True), Rereading(reread, reload_asked))


def overruled(table: dict[str, object], overrides: tuple[str, ...]) -> dict[str, object]:
    """Return a settings table with ``KEY=VALUE`` overrides applied; values are TOML, or text where they are not."""
    import tomllib  # noqa: PLC0415 - quick --help

    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise SettingsError(f"--set {override}", ["expected KEY=VALUE, such as mqtt.port=1884"])
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *sections, last = key.split(".")
        place: object = table
        for section in sections:
            if not isinstance(place, dict):
                break
            place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise SettingsError(f"--set {key}", [f"{key}: its parent is a value, not a section"])
        place[last] = value
    return table
