"""``inspector calibrate``: measure at a station what its verdicts rest on. One module a subject, imported when it is asked for."""

import importlib

import click

SUBJECTS = {
    "camera": "Measure a camera's lens and scale on pictures of a board.",
    "normality": "Fit what good parts look like, from good pictures alone; what is unlike them goes to review.",
    "reference": "Take a reference of the scene, so that a moved camera and a drifting light are told.",
    "regions": "Draw the regions that are judged on a picture of the camera.",
    "decision": "Fit temperature and thresholds on labelled pictures, with a promise on missed defects.",
}
"""Every subject with its line in the overview; its module here is ``calibrate_<subject>``, with the click command ``subject``."""


class Subjects(click.Group):
    """The group of subjects."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's own signature
        """Return the subjects in their order."""
        return list(SUBJECTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's own signature
        """Import and return a subject, or None if there is none of that name."""
        if cmd_name not in SUBJECTS:
            return None
        subject: click.Command = importlib.import_module(f"inspector.cli.calibrate_{cmd_name}").subject
        return subject

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own signature
        """Write the overview without importing a subject."""
        with formatter.section("Subjects"):
            formatter.write_dl(list(SUBJECTS.items()))


@click.group(cls=Subjects, subcommand_metavar="SUBJECT ...")
def command() -> None:
    """Measure at a station what its verdicts rest on, and write it into the station's folder."""
