"""``inspector demo``: watch a station inspect real parts, from camera to MQTT subscriber."""

from pathlib import Path

import click


@click.command
@click.argument("station", default="demo")
@click.option("--least-accuracy", type=click.FloatRange(0, 1), help="Exit with 1 below this accuracy.")
@click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), help="Write the most telling rows of the table to this SVG file."
)
@click.pass_obj
def command(root: Path, station: str, least_accuracy: float | None, record: Path | None) -> None:
    """Run the demo: a broker, the daemon of STATION in its own process, and a subscriber that prints what arrives.

    Leaves a contact sheet in var/ and the log in var/STATION. The state of an earlier demo is removed first.
    """
    from rich.console import Console  # noqa: PLC0415 - quick --help

    from inspector.demo.run import run_demo  # noqa: PLC0415 - as above
    from inspector.errors import InspectorError  # noqa: PLC0415 - as above

    outcome = run_demo(root, station, Console(), recording=record)
    if not outcome.frames == outcome.logged == outcome.received:
        raise InspectorError("frames, logged rows and received results differ: see the closing line")
    if least_accuracy is not None and outcome.accuracy < least_accuracy:
        raise InspectorError(f"accuracy {outcome.accuracy:.3f} is below {least_accuracy}")
