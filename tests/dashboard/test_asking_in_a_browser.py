"""The assistant's panel in a real Chromium: typed, spoken, and an order that a click confirms; real daemon, broker and speech."""

from pathlib import Path
from typing import Any

import pytest

from inspector.settings import StationSettings
from tests.assist.assist_kit import speak
from tests.dashboard import chromium
from tests.dashboard.test_in_a_browser import address, log_in, show, station  # noqa: F401 - fixtures
from tests.edge.conftest import Subscriber, wait_until
from tests.orders.test_station import broker, heard  # noqa: F401 - fixtures

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there is one")


def ask(page: Any, text: str) -> Any:
    """Type a question into the panel; return the answer once it is there."""
    page.fill("form.ask [name=text]", text)
    page.click("form.ask button.main")
    page.wait_for_selector(f'#answer .heard:has-text("{text}")')
    return page.locator("#answer")


def test_the_panel_answers_beside_the_live_view_hears_the_microphone_and_sends_an_order_after_a_click(
    station: StationSettings,  # noqa: F811 - the fixture
    address: str,  # noqa: F811 - the fixture
    heard: Subscriber,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: pip install 'qc-inspector[assist]'")
    sound = speak("how is the station", tmp_path / "question.wav")
    with chromium.browser(sound=sound) as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
        log_in(page, address)
        page.wait_for_selector('[data-state="running"]')
        show(station, 1)
        page.wait_for_selector('[data-seq="1"]', timeout=20_000)
        assert "inspections, " in ask(page, "how many parts in the last hour").inner_text()

        page.click("button.speak")
        page.wait_for_selector("button.speak.on")
        page.wait_for_timeout(3000)  # the sentence takes less
        page.click("button.speak")
        page.wait_for_selector("#answer:has-text('“how is the station”')", timeout=20_000)
        assert "The station is running" in page.inner_text("#answer")

        page.click("a.why")
        assert "was judged anew for this answer" in judged_anew(page)

        ask(page, "set the lot to L9")
        assert {body["lot"] for body in heard.bodies("/status")} <= {None, "L7"}
        page.click("#answer a.button")
        assert "Parts that name no lot are counted to lot L9 from now on." in page.inner_text("main")
        page.click("text=Confirm: do it")
        page.wait_for_selector("text=The station has done it.")
        wait_until(lambda: heard.bodies("/status")[-1]["lot"] == "L9")
        assert faults == []


def judged_anew(page: Any) -> str:
    page.check("form.ask [name=picture]")
    page.click("form.ask button.main")
    page.wait_for_selector("#answer dl", timeout=30_000)
    page.uncheck("form.ask [name=picture]")
    return str(page.inner_text("#answer"))


def test_without_a_microphone_the_panel_says_so_and_takes_a_recording(address: str, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: pip install 'qc-inspector[assist]'")
    from playwright.sync_api import FilePayload  # noqa: PLC0415 - asked for where it is needed

    with chromium.browser() as context:
        # As over plain HTTP from another machine.
        context.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
        page = context.new_page()
        log_in(page, address)
        page.wait_for_selector(".no-microphone", timeout=20_000)
        assert not page.is_visible("button.speak")
        page.set_input_files("form.ask [name=sound]", str(speak("how is the station", tmp_path / "question.wav")))
        page.click("form.ask button.main")
        page.wait_for_selector("#answer:has-text('“how is the station”')", timeout=20_000)
        page.set_input_files("form.ask [name=sound]", files=FilePayload(name="a.wav", mimeType="audio/wav", buffer=b"no sound"))
        page.click("form.ask button.main")
        page.wait_for_selector("#answer .error:has-text('no WAV file')", timeout=20_000)
