"""Serving the dashboard: addresses that are allowed, TLS, life signs for systemd."""

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.dashboard.users import Users
from inspector.edge.systemd import Systemd
from inspector.errors import DashboardError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from inspector.dashboard.helping import HelpDesk
    from inspector.dashboard.site import Site


@dataclass(frozen=True, slots=True)
class Address:
    """Where the dashboard listens."""

    host: str = "127.0.0.1"
    """Name or address."""
    port: int = 8101
    """Port; 0: any free one."""
    certificate: Path | None = None
    """PEM file of the certificate; switches TLS on."""
    key: Path | None = None
    """PEM file of its key."""
    is_plain: bool = False
    """True accepts plain HTTP to other machines."""

    def check(self, users: Users | None) -> None:
        """Raise ``DashboardError`` if somebody could look on, or in, who should not."""
        if (self.certificate is None) != (self.key is None):
            raise DashboardError("--certificate and --key belong together: give both or neither")
        if is_loopback(self.host):
            return
        if users is None:
            raise DashboardError(
                f"--host {self.host}: other machines could look in without a login; name the users with --users FILE"
                " (inspector dashboard --users FILE --set-password NAME makes one), or listen on 127.0.0.1"
            )
        if self.certificate is None and not self.is_plain:
            raise DashboardError(
                f"--host {self.host}: passwords would cross the network in the clear; give --certificate and --key, or --insecure"
                " if the network is closed"
            )


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def build_site(stations: Sequence[StationSettings], root: Path, users: Users | None, help_desk: "HelpDesk | None" = None) -> "Site":
    """Return the site; without ``help_desk`` it has no assistant. Raises ``DashboardError`` if the extra is not installed."""
    # Datasette loads every plugin that it finds installed; these pages need one.
    os.environ["DATASETTE_LOAD_PLUGINS"] = "datasette-auth-passwords"
    try:
        from datasette.plugins import pm  # noqa: PLC0415 - the extra is asked for where it is needed

        from inspector.dashboard import plugin  # noqa: PLC0415 - as above
        from inspector.dashboard.site import Shown, Site  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise DashboardError(f"the dashboard needs the package {error.name}; install: pip install 'qc-inspector[dashboard]'") from error
    if not pm.is_registered(plugin):
        pm.register(plugin)
        pm.unregister(name="datasette.handle_exception")  # it prints every variable of a failed request, passwords too
    return Site({settings.name: Shown.of(settings, root) for settings in stations}, users, help_desk)


def serve(site: "Site", address: Address, say: Any) -> None:  # noqa: ANN401 - takes a line
    """Serve until SIGTERM or SIGINT. Raises ``DashboardError`` if the address cannot be had."""
    import uvicorn  # noqa: PLC0415 - the extra is asked for where it is needed

    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listener = socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise DashboardError(
            f"{address.host} port {address.port}: cannot be listened on: {error.strerror}; choose another --port"
        ) from error
    systemd = Systemd()

    class Server(uvicorn.Server):
        """Tells systemd and the terminal when it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            scheme = "http" if address.certificate is None else "https"
            line = f"dashboard of {', '.join(site.stations)} at {scheme}://{address.host}:{listener.getsockname()[1]}/"
            systemd.ready(line)
            say(line)

    config = uvicorn.Config(
        site.app(), log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=2, server_header=False,
        proxy_headers=False, ssl_certfile=address.certificate, ssl_keyfile=address.key,
    )  # fmt: skip
    Server(config).run(sockets=[listener])
