"""A confirmed order on its way: over a real broker to a real station, and what is told where it does not get there."""

from pathlib import Path
from typing import Any

import pytest

from inspector.edge.commands.sending import Account, send_command
from inspector.edge.log import Log, database_path
from inspector.errors import PublishError
from inspector.settings import StationSettings
from tests.edge.conftest import Mosquitto, Subscriber, wait_until
from tests.orders.test_station import broker, heard, root, running  # noqa: F401 - fixtures
from tests.station_kit import write_station


def test_a_command_is_carried_out_in_the_users_name_and_answered_to_the_sender_alone(
    running: Any,  # noqa: F811 - the fixture
    heard: Subscriber,  # noqa: F811 - the fixture
    root: Path,  # noqa: F811 - the fixture
) -> None:
    settings, _ = running
    answer = send_command(settings, Account(), "pause", {}, "mei")
    assert answer is not None
    assert (answer.verb, answer.outcome, answer.station) == ("pause", "done", "s1")
    wait_until(lambda: heard.bodies("/status")[-1]["state"] == "paused")
    assert "mei" in heard.bodies("/status")[-1]["reason"]
    answer = send_command(settings, Account(), "lot", {"lot": "L9"}, "mei")
    assert answer is not None
    assert answer.result["lot"] == "L9"
    answer = send_command(settings, Account(), "product", {"product": "nut"}, "mei")
    assert answer is not None
    assert (answer.outcome, "'nut' is not one of" in answer.reason) == ("refused", True)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        wait_until(lambda: sum("mei" in event.detail for event in log.events_of({"command"})) == 3)


def test_where_nobody_answers_it_is_told_as_that(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    monkeypatch.setattr("inspector.edge.commands.sending.PATIENCE_S", 0.5)
    settings = write_station(tmp_path, mqtt=f"port = {broker.port}")
    assert send_command(settings, Account(), "pause", {}, "mei") is None


def test_a_broker_that_forbids_it_is_told_and_nothing_was_done(broker: Mosquitto, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    broker.allow("topic read #\n")
    settings = write_station(tmp_path, mqtt=f"port = {broker.port}")

    def is_refused() -> bool:
        try:
            return send_command(settings, Account(), "pause", {}, "mei") is not None
        except PublishError as error:
            return "refuses the command" in str(error)

    wait_until(is_refused, 30)


def test_what_cannot_be_sent_says_why(tmp_path: Path) -> None:
    def fault(settings: StationSettings, account: Account = Account(), **payload: str) -> str:  # noqa: B008 - a frozen value
        with pytest.raises(PublishError) as caught:
            send_command(settings, account, "lot", payload or {"lot": "L1"}, "mei")
        return str(caught.value)

    assert "has no broker" in fault(write_station(tmp_path, "a"))
    assert "cannot connect" in fault(write_station(tmp_path, "b", mqtt="port = 1"))
    assert "not a command" in fault(write_station(tmp_path, "c", mqtt="port = 1"), lot="x" * 65)
    assert "--broker-user" in fault(write_station(tmp_path, "d", mqtt='port = 1\nusername = "d"'))
    assert "cannot connect" in fault(write_station(tmp_path, "e", mqtt='port = 1\nusername = "e"'), Account("operator", "secret"))


def test_the_brokers_password_comes_from_a_private_file_or_from_systemd(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("pump house\n")
    file.chmod(0o644)
    with pytest.raises(PublishError, match="chmod 600"):
        Account.read("operator", file)
    file.chmod(0o600)
    assert Account.read("operator", file).password == "pump house"
    assert "pump house" not in repr(Account.read("operator", file))
    file.rename(tmp_path / "dashboard-broker-password")
    assert Account.read("operator", None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).password == "pump house"
    assert Account.read("operator", None, {}).password is None
    assert Account.read(None, None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == Account()
