"""``inspector dashboard``: what stations judge, on a screen for operators and supervisors; it reads their logs and writes none."""

from pathlib import Path

import click

from inspector.settings import read_station


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
@click.option("--set-password", metavar="NAME", help="Ask for a user's password, write it into --users and end.")
@click.option(
    "--may", multiple=True, type=click.Choice(("review", "sql")), help="With --set-password: what the user may do beside looking."
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
    set_password: str | None,
    may: tuple[str, ...],
) -> None:
    """Serve a dashboard of STATIONs to browsers: live line, defects, open reviews, why a verdict, reports, health; docs/dashboard.md.

    With users everybody must log in. Their file is written with --set-password; who may ask SQL or settle reviews is said with --may.
    """
    from inspector.dashboard import users as registry  # noqa: PLC0415 - keeps `inspector --help` quick
    from inspector.dashboard.serving import Address, build_site, serve  # noqa: PLC0415 - as above

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
    serve(build_site(settings, root, known), address, lambda line: click.echo(line, err=True))
