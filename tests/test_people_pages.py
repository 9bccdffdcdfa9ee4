"""The pages for people: their links, headings and commands exist, and the operator's sheet is one page."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from inspector.cli import main
from inspector.cli.init_answers import CAMERA_HELP

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("quickstart.md", "integrator.md", "maintainer.md", "assist.md", "operator.html")


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in PAGES if page.endswith(".md")])
def test_every_link_leads_to_a_page_and_to_a_heading_of_it(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text_of(page)) if "://" not in link]
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        assert (DOCS / name).is_file(), link
        assert not anchor or anchor in anchors(DOCS / name), link


@pytest.mark.parametrize("page", [page for page in PAGES if page != "integrator.md"])
def test_every_verb_and_option_that_a_page_names_exists(page: str) -> None:
    context = click.Context(main)
    verbs = set(main.list_commands(context))
    named = re.findall(r"\binspector ([a-z]+)(?: ([a-z]+))?([^`|\n]*(?:\\\n[^`|\n]*)?)", text_of(page))
    assert any(verb in verbs for verb, *_ in named)
    for verb, second, rest in named:
        if verb not in verbs:
            continue
        command = main.get_command(context, verb)
        if isinstance(command, click.Group):
            below = command.list_commands(context)
            chosen = second if second in below else "show"  # `inspector log STATION` shows
            command = command.get_command(context, chosen) if chosen in below else command
        assert command is not None
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"(?<![\w-])--[a-z-]+", rest)) <= options | {"--help"}, (page, verb, rest)


def test_the_camera_sources_of_the_quick_start_are_those_of_the_verb() -> None:
    assert "rtsp://..." in CAMERA_HELP
    assert "rtsp://..." in text_of("quickstart.md")


def test_the_operators_sheet_prints_on_one_page(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    sheet = tmp_path / "sheet.pdf"
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *switches, f"--print-to-pdf={sheet}", (DOCS / "operator.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert len(re.findall(rb"/Type\s*/Page\b", sheet.read_bytes())) == 1
