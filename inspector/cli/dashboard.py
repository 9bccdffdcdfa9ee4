"""``inspector dashboard``: what stations judge, on a screen for operators and supervisors; it reads their logs and writes none."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.assist_answer import Asked, answer_to
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from inspector.dashboard.helping import HelpDesk, Told
    from inspector.edge.assistance import AssistPayload
    from inspector.edge.commands.sending import Account


@click.command
@click.argument("stations", nargs=-1, metavar="STATION...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8101, show_default=True, help="Port to listen on; 0: any free one.")
@click.option(
    "--users",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file of users; default: the systemd credential dashboard-users. Without users it listens to this machine alone.",
)
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM certificate: serve by TLS.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM key of the certificate.")
@click.option("--insecure", is_flag=True, help="Allow plain HTTP to other machines.")
@click.option("--broker-user", metavar="NAME", help="Whom the brokers take the dashboard for, when it sends a confirmed order.")
@click.option(
    "--broker-password",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File with the password, mode 0600; default: the systemd credential dashboard-broker-password.",
)
@click.option("--set-password", metavar="NAME", help="Ask for a user's password, write it into --users and end.")
@click.option(
    "--may",
    multiple=True,
    type=click.Choice(("review", "sql", "command")),
    help="With --set-password: what the user may do beside looking and asking.",
)
@click.pass_obj
def command(
    root: Path,
    stations: tuple[str, ...],
    host: str,
    port: int,
    users: Path | None,
    certificate: Path | None,
    key: Path | None,
    insecure: bool,
    broker_user: str | None,
    broker_password: Path | None,
    set_password: str | None,
    may: tuple[str, ...],
) -> None:
    """Serve a dashboard of STATIONs to browsers: live line, defects, open reviews, why a verdict, reports, health; docs/dashboard.md.

    With users everybody must log in. Their file is written with --set-password; who may ask SQL, settle reviews or send a station
    orders is said with --may.
    """
    from inspector.dashboard import users as registry  # noqa: PLC0415 - keeps `inspector --help` quick
    from inspector.dashboard.serving import Address, build_site, serve  # noqa: PLC0415 - as above
    from inspector.edge.commands.sending import Account  # noqa: PLC0415 - as above

    if set_password is not None:
        if users is None:
            raise click.UsageError("--set-password writes into a file: name it with --users")
        secret = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        registry.set_password(users, set_password, secret, may)  # type: ignore[arg-type] # click has checked them
        click.echo(f"{users}: {set_password} may look{''.join(f' and {right}' for right in may)}")
        return
    if not stations:
        raise click.UsageError("name at least one STATION")
    settings = [read_station(root / "calibration" / name) for name in dict.fromkeys(stations)]
    file = registry.users_file(users)
    known = None if file is None else registry.read_users(file)
    address = Address(host, port, certificate, key, insecure)
    address.check(known)
    desk = new_help_desk(Account.read(broker_user, broker_password))
    serve(build_site(settings, root, known, desk), address, lambda line: click.echo(line, err=True))


def new_help_desk(account: "Account") -> "HelpDesk":
    """Return how the dashboard asks the assistant and sends orders: the same ways as ``inspector assist`` and any MQTT client."""
    from inspector.dashboard.helping import HelpDesk  # noqa: PLC0415 - quick --help
    from inspector.edge.commands.sending import send_command  # noqa: PLC0415 - as above

    def ask(settings: StationSettings, root: Path, told: "Told") -> "AssistPayload":
        asked = Asked(told.text, told.sound, told.picture, product=told.product, lot=told.lot, part=told.part)
        return answer_to(settings, root, asked)

    return HelpDesk(ask, lambda settings, verb, payload, who: send_command(settings, account, verb, payload, who))
