"""``inspector run``: settings overruled from the command line, and what ends it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.run import overruled
from inspector.edge.log import Log
from inspector.errors import SettingsError
from tests.conftest import Tiny
from tests.station_kit import install_tiny, write_pictures, write_station


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny) -> Iterator[Path]:
    """The verb takes the signals over; the tests get theirs back."""
    install_tiny(tmp_path, tiny.folder)
    write_pictures(write_station(tmp_path).folder / "frames", 2)
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield tmp_path
    for number, handler in kept.items():
        signal.signal(number, handler)


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "run", *arguments], env={"STATE_DIRECTORY": ""})


def test_a_replay_ends_by_itself_and_tells_what_it_did_on_stderr(root: Path) -> None:
    done = run(root, "s1")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "s1 started: model tiny@" in done.stderr
    assert '"logged": 2' in done.stderr
    with Log(root / "var" / "s1" / "inspector.db", "s1", read_only=True) as log:
        assert [row.seq for row in log.find()] == [1, 2]


def test_an_override_holds_for_this_run(root: Path) -> None:
    done = run(root, "s1", "--set", f"log.path={root}/elsewhere.db", "--set", 'products.screw.description="lead screw"')
    assert done.exit_code == 0, done.stderr
    with Log(root / "elsewhere.db", "s1", read_only=True) as log:
        assert len(list(log.find())) == 2


def test_values_are_toml_or_text_where_they_are_not() -> None:
    overrides = (
        "mqtt.port=1884",
        "mqtt.host=broker.local",
        'mqtt.root="a/b"',
        "mqtt.enabled=false",
        "log.path=a=b.db",
        "model.providers=[]",
    )
    assert overruled({"mqtt": {"port": 1, "window": 3}}, overrides) == {
        "mqtt": {"port": 1884, "window": 3, "host": "broker.local", "root": "a/b", "enabled": False},
        "log": {"path": "a=b.db"},
        "model": {"providers": []},
    }


@pytest.mark.parametrize("text", ["mqtt.port", "=1884", ""])
def test_an_override_that_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected KEY=VALUE, such as mqtt\.port=1884"):
        overruled({}, (text,))


def test_an_override_below_a_value_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"mqtt\.port\.x: its parent is a value"):
        overruled({"mqtt": {"port": 1}}, ("mqtt.port.x=1",))


def test_a_wrong_override_is_named_with_its_key_and_its_origin(root: Path) -> None:
    done = run(root, "s1", "--set", "mqtt.hots=x", "--set", "mqtt.port=high")
    assert done.exit_code == 1
    assert "--set mqtt.hots --set mqtt.port: 2 mistakes" in done.stderr
    assert "mqtt.hots: unknown key; did you mean 'host'?" in done.stderr
    assert "mqtt.port" in done.stderr


def test_a_station_that_is_not_there_is_refused_with_a_suggestion(root: Path) -> None:
    done = run(root, "s11")
    assert done.exit_code == 1
    assert "did you mean 's1'?" in done.stderr


def test_a_camera_folder_that_is_not_there_ends_the_start(root: Path) -> None:
    done = run(root, "s1", "--set", "cameras.line.path=nowhere")
    assert done.exit_code == 1
    assert "cameras.line: " in done.stderr
    assert "Traceback" not in done.stderr
