"""``inspector dashboard``: what it refuses before it listens, and that it answers and ends in order."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from tests.station_kit import write_station

pytest.importorskip("datasette", reason="the extra dashboard is not installed: pip install 'qc-inspector[dashboard]'")


def dashboard(root: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "dashboard", *words], input=typed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name at least one STATION"),
        (("nowhere",), "there is no such file"),
        (("s1", "--host", "0.0.0.0"), "other machines could look in without a login"),  # noqa: S104 - it is refused
        (("s1", "--users", "missing.toml"), "it holds the dashboard's users"),
        (("--set-password", "mei"), "name it with --users"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_listens(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    write_station(tmp_path, "s1")
    result = dashboard(tmp_path, *words)
    assert result.exit_code in {1, 2}
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_password_is_asked_for_and_stands_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    result = dashboard(
        tmp_path, "--users", str(file), "--set-password", "mei", "--may", "review", typed="correct horse 7\ncorrect horse 7\n"
    )
    assert result.exit_code == 0
    assert "mei may look and review" in result.output
    assert "horse" not in result.output + file.read_text(encoding="utf-8")


def test_it_answers_when_it_says_so_and_ends_in_order(tmp_path: Path) -> None:
    write_station(tmp_path, "s1")
    command = [sys.executable, "-m", "inspector", "--root", str(tmp_path), "dashboard", "s1", "--port", "0"]
    environment = {key: value for key, value in os.environ.items() if key != "STATE_DIRECTORY"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address is not None, line
        with urllib.request.urlopen(address.group() + "-/health") as answer:  # noqa: S310 - our own address
            assert "never started" in answer.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in {0, -signal.SIGTERM}
        assert process.stderr.read() == ""
