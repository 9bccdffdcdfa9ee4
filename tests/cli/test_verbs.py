import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import inspector.cli
from inspector.cli import VERBS, Verbs, main
from inspector.errors import CameraError


def failing(error: BaseException) -> Verbs:
    group = Verbs("inspector")

    @click.command
    def command() -> None:
        raise error

    group.resolve_command = lambda _ctx, args: ("fail", command, args[1:])  # type: ignore[method-assign,assignment]
    return group


def test_the_overview_is_quick_because_it_imports_no_verb() -> None:
    program = (
        "import sys; from inspector.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'numpy', 'cv2', 'torch', 'pydantic', 'onnxruntime', 'paho'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Test a station's settings" in done.stdout


def test_every_verbs_module_is_offered_and_exposes_a_command() -> None:
    modules = [path.stem for path in Path(inspector.cli.__file__).parent.glob("*.py")]
    offered = main.list_commands(click.Context(main))
    assert set(offered) == set(modules) & VERBS.keys()
    for verb in offered:
        command = main.get_command(click.Context(main), verb)
        assert command is not None
        assert command.help, f"{verb} explains nothing"


def test_every_module_with_a_command_is_a_verb() -> None:
    folder = Path(inspector.cli.__file__).parent
    with_command = {path.stem for path in folder.glob("*.py") if "\ndef command(" in path.read_text(encoding="utf-8")}
    assert with_command <= VERBS.keys()


def test_a_misspelt_verb_gets_a_suggestion() -> None:
    done = CliRunner().invoke(main, ["chek"])
    assert done.exit_code == 2
    assert "there is no verb 'chek'; did you mean 'check'?" in done.output


def test_an_error_that_a_user_can_cure_is_one_message_and_exit_code_1() -> None:
    done = CliRunner().invoke(failing(CameraError("camera line: cannot be opened; check the cable")), ["fail"])
    assert (done.exit_code, done.stderr) == (1, "error: camera line: cannot be opened; check the cable\n")
    assert done.stdout == ""


def test_a_bug_is_named_in_one_line_and_exit_code_70(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSPECTOR_TRACEBACK", raising=False)
    done = CliRunner().invoke(failing(ZeroDivisionError("division\nby zero")), ["fail"])
    assert done.exit_code == 70
    first, second = done.stderr.splitlines()
    assert first.startswith("error: a bug in inspector: ZeroDivisionError in test_verbs.py:")
    assert first.endswith(": division by zero")
    assert "INSPECTOR_TRACEBACK=1" in second


def test_a_bug_shows_its_way_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECTOR_TRACEBACK", "1")
    done = CliRunner().invoke(failing(ZeroDivisionError("x")), ["fail"])
    assert isinstance(done.exception, ZeroDivisionError)


def test_an_interrupt_exits_with_130_and_says_nothing() -> None:
    done = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
    assert (done.exit_code, done.output) == (130, "")


def test_a_reader_that_leaves_is_no_error() -> None:
    program = "from inspector.cli import main; main(['init', '--help'])"
    done = subprocess.run(["/bin/sh", "-c", f'"{sys.executable}" -c "{program}" | true'], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_the_root_may_come_from_the_environment(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["init", "press", "-t", "pcb"], env={"INSPECTOR_ROOT": str(tmp_path)})
    assert done.exit_code == 0, done.output
    assert (tmp_path / "calibration" / "press" / "station.toml").is_file()


def test_a_root_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(tmp_path / "nowhere"), "check", "press"])
    assert done.exit_code == 2
