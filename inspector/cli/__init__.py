"""The command line: ``inspector VERB ...``. One module a verb, imported when it is asked for, so that ``--help`` stays quick.

Every verb module exposes one click command or group named ``command`` and gets the ``--root`` folder as ``ctx.obj``. Errors leave
through one door: what a user can cure is printed as ``error: ...`` (exit code 1), wrong usage exits with 2, a bug with 70
(``EX_SOFTWARE`` of sysexits.h), an interrupt with 130.
"""

import difflib
import importlib
import importlib.util
import io
import os
import sys
import traceback
from pathlib import Path
from typing import IO, Any, NoReturn

import click

from inspector import __version__
from inspector.errors import InspectorError

VERBS = {
    "init": "Make a station's folder from a template.",
    "check": "Test a station's settings, calibration, model, camera, broker, disk and log.",
    "run": "Run a station's daemon.",
    "status": "Tell how a station is: its daemon, its cameras, its last verdicts, what is at fault.",
    "inspect": "Judge pictures and print one JSON line for each.",
    "trace": "Show what a verdict looked at: picture, reports, words.",
    "reports": "Import, list and search historical QC reports.",
    "log": "Query a station's log of verdicts, back it up, salvage it.",
    "dashboard": "Serve a dashboard of stations to browsers.",
    "train": "Train and export a model.",
    "distill": "Teach a station's small model what a large one believes of unlabelled frames.",
    "models": "List and fetch models, hold them against their frozen sets, go back to the previous one.",
    "evaluate": "Measure on labelled pictures how often a station is right.",
    "align": "See whether verdicts follow the picture, and reports only where it tells nothing.",
    "calibrate": "Measure what a station's verdicts rest on: lens and scale, thresholds with a promise on missed defects.",
    "demo": "Watch a station inspect real parts, from camera to MQTT subscriber.",
    "bench": "Measure a station's speed on this machine.",
    "docs": "Write the generated parts of the documentation.",
}
"""Every verb with its line in the overview, in the order in which a station meets them. A verb is offered when its module is installed."""


class Fault(click.ClickException):
    """An error that the user can cure."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr."""
        click.echo(f"error: {self.format_message()}", file=file, err=True)


class Bug(Fault):
    """An error that only we can cure."""

    exit_code = 70


class Verbs(click.Group):
    """The group of verbs: imports a verb's module when it is asked for, and is the one place where the CLI catches errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's own signature
        """Return the verbs whose modules are installed, in the order of ``VERBS``."""
        return [verb for verb in VERBS if importlib.util.find_spec(f"inspector.cli.{verb}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a verb, or None if there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"inspector.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; an unknown one is refused with a suggestion."""
        verbs = self.list_commands(ctx)
        if args and args[0] not in verbs and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], verbs, n=1)
            ctx.fail(f"there is no verb {args[0]!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(verbs)}"))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from ``VERBS``, without importing a verb."""
        if verbs := self.list_commands(ctx):
            with formatter.section("Verbs"):
                formatter.write_dl([(verb, VERBS[verb]) for verb in verbs])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run a verb and turn whatever ends it into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except InspectorError as error:
            raise Fault(str(error)) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001  # a bug: name it in one line
            _report_bug(error)


def _report_bug(error: Exception) -> NoReturn:
    """End with one line that names a bug, or with the traceback where the user asked for it."""
    if os.environ.get("INSPECTOR_TRACEBACK"):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    text = " ".join(str(error).split()) or "no message"
    raise Bug(f"a bug in inspector: {type(error).__name__} in {where}: {text}\nSet INSPECTOR_TRACEBACK=1 to see the way there.") from error


@click.group(cls=Verbs, subcommand_metavar="VERB ...", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, "-V", "--version", prog_name="inspector")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    envvar="INSPECTOR_ROOT",
    show_envvar=True,
    metavar="FOLDER",
    help="Folder that holds calibration/ and models/; default: the current folder.",
)
@click.pass_context
def main(ctx: click.Context, root: Path) -> None:
    """Inspect parts at a factory station: camera, past QC reports and a vision-language model give a verdict."""
    ctx.obj = root
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 must not turn a verdict into a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
