import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.edge.systemd import Systemd


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        yield channel


@pytest.fixture
def systemd(tmp_path: Path, manager: socket.socket) -> Systemd:
    return Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})


def test_every_life_sign_is_one_datagram_in_systemds_words(systemd: Systemd, manager: socket.socket) -> None:
    systemd.extend_timeout(30)
    systemd.ready("running: 2 cameras")
    systemd.ping()
    systemd.status("degraded:\ncamera top lost")
    systemd.stopping("emptying the outbox")
    assert [manager.recv(4096).decode() for _ in range(5)] == [
        "EXTEND_TIMEOUT_USEC=30000000",
        "READY=1\nSTATUS=running: 2 cameras",
        "WATCHDOG=1",
        "STATUS=degraded: camera top lost",
        "STOPPING=1\nSTATUS=emptying the outbox",
    ]


def test_an_abstract_socket_is_reached_too() -> None:
    name = f"inspector-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name)
        channel.settimeout(5)
        Systemd({"NOTIFY_SOCKET": "@" + name}).ping()
        assert channel.recv(4096) == b"WATCHDOG=1"


def test_without_systemd_every_life_sign_does_nothing() -> None:
    systemd = Systemd({})
    systemd.ready("running")
    systemd.ping()
    assert systemd.watchdog_period_s() is None


def test_a_service_manager_that_has_gone_away_does_not_stop_the_inspection(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ping()


def test_pings_come_twice_as_often_as_the_watchdog_needs_them(systemd: Systemd) -> None:
    assert systemd.watchdog_period_s() == 15.0


@pytest.mark.parametrize("environ", [{"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_that_is_off_or_not_ours_is_not_fed(environ: dict[str, str]) -> None:
    assert Systemd(environ).watchdog_period_s() is None
