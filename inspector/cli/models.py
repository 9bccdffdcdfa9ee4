"""``inspector models``: the checkpoints below models/."""

import click

from inspector.cli.models_pull import pull


@click.group
def command() -> None:
    """Look after the checkpoints below models/."""


command.add_command(pull)
