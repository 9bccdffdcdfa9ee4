import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.cli.reference import replaced, settings_reference
from inspector.settings import StationSettings

ROOT = Path(__file__).parents[1]


def test_the_generated_pages_are_up_to_date() -> None:
    done = CliRunner().invoke(main, ["--root", str(ROOT), "docs", "--check"])
    assert done.exit_code == 0, f"{done.output}\nrun: make docs"


def test_a_stale_page_is_found_and_written_anew(tmp_path: Path) -> None:
    for name in ("settings.md", "cli.md"):
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(page.replace("keep_days", "old_key").replace("--template", "--old"), encoding="utf-8")
    runner = CliRunner()
    stale = runner.invoke(main, ["docs", "--check", "--folder", str(tmp_path)])
    assert stale.exit_code == 1
    assert stale.output.count("out of date, run: make docs") == 2
    assert runner.invoke(main, ["docs", "--folder", str(tmp_path)]).exit_code == 0
    assert runner.invoke(main, ["docs", "--check", "--folder", str(tmp_path)]).exit_code == 0


def test_a_page_without_markers_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "settings.md").write_text("# Settings\n")
    done = CliRunner().invoke(main, ["docs", "--folder", str(tmp_path)])
    assert done.exit_code == 1
    assert "settings.md: needs the lines <!-- begin settings" in done.stderr


def test_what_stands_around_the_markers_is_kept() -> None:
    page = "above\n<!-- begin x: written by `inspector docs` -->\nold\n<!-- end x -->\nbelow\n"
    assert replaced(page, "x", "new") == "above\n<!-- begin x: written by `inspector docs` -->\n\nnew\n\n<!-- end x -->\nbelow\n"
    with pytest.raises(ValueError, match="once each"):
        replaced(page + page, "x", "new")


def test_every_setting_is_explained() -> None:
    page = settings_reference()
    for key, field in StationSettings.model_fields.items():
        if key not in {"name", "folder"}:
            assert f"#### [{key}" in page
            assert field.description
    assert not re.search(r"\| +\|$", page, flags=re.MULTILINE), "a key has no meaning"


def test_every_page_that_an_explanation_names_exists() -> None:
    named = set(re.findall(r"docs/[\w-]+\.md", settings_reference()))
    assert "docs/cameras.md" in named
    assert [page for page in named if not (ROOT / page).is_file()] == []


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(entry for extra in project["optional-dependencies"].values() for entry in extra)]
    names = {re.split(r"[\s<>=!~;\[]", entry, maxsplit=1)[0] for entry in wanted}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, flags=re.MULTILINE)) == names
