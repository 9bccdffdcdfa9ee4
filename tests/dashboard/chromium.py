"""The Chromium of this machine, driven by Playwright; none is downloaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def missing() -> str:
    """Return what is missing to drive a browser, empty if nothing is."""
    try:
        import playwright  # noqa: F401, PLC0415 - asked for where it is needed
    except ModuleNotFoundError:
        return "playwright is not installed: pip install playwright"
    return "" if program() else "no Chromium was found: apt-get install chromium"


def program() -> str | None:
    """Return the browser's program, None if there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def microphone(sound: Path) -> list[str]:
    """Return the arguments that let a WAV file stand in for the microphone, once, with the user's leave."""
    return ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={sound}%noloop"]


@contextmanager
def browser(width: int = 1280, height: int = 800, language: str = "en", sound: Path | None = None) -> "Iterator[BrowserContext]":
    """Run a browser; every address but this machine's is out of reach, as on a line without internet. Its microphone hears ``sound``."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - asked for where it is needed

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program(), args=[*ARGUMENTS, *(microphone(sound) if sound else ())])
        context = chromium.new_context(viewport={"width": width, "height": height}, locale=language)
        context.route(lambda address: "//127.0.0.1:" not in address, lambda route: route.abort())
        try:
            yield context
        finally:
            chromium.close()
