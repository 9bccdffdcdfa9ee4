"""``make dashboard-screen``: how long from a verdict to the screen of a real Chromium, with real daemon, broker and dashboard.

The browser notes the instant at which the live view shows a new number; the log knows when the verdict was reached; both go by this
machine's clock. Exit code 1 if one of them took longer than a second. A figure about this machine and its load, so no test.
"""

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from inspector.edge.log import Log
from tests.dashboard import chromium
from tests.dashboard.board_visits import STATION
from tests.dashboard.killed import Pair, back, newest
from tests.edge.conftest import Mosquitto, Subscriber
from tests.faults.station import build_checkpoint
from tests.station_kit import write_pictures, write_station

LIMIT_S = 1.0
_NOTE = """
window.noted = [];
new MutationObserver((changes) => changes.forEach(({ target }) => {
  const seq = Number(target.dataset ? target.dataset.seq : 0);
  if (seq && (!noted.length || noted.at(-1)[0] !== seq)) noted.push([seq, Date.now()]);
})).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-seq"] });
"""


@click.command
@click.option("--verdicts", default=60, show_default=True, help="Verdicts to wait for.")
def main(verdicts: int) -> None:
    """Measure and print."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if chromium.missing() or program is None:
        raise click.ClickException(chromium.missing() or "mosquitto is not installed: apt-get install mosquitto")
    with tempfile.TemporaryDirectory() as name:
        delays_s, arrivals_s = measure(Path(name), program, verdicts)
    for what, values in (("the screen", delays_s), ("an MQTT subscriber", arrivals_s)):
        told = ", ".join(f"p{share} {np.percentile(values, share):.2f}" for share in (50, 99))
        click.echo(f"from verdict to {what}: {len(values)} seen, {told}, max {max(values):.2f} s; load {os.getloadavg()[0]:.1f}")
    sys.exit(1 if max(delays_s) > LIMIT_S else 0)


def measure(root: Path, program: str, verdicts: int) -> tuple[list[float], list[float]]:
    """Return how late each verdict was on the screen and at a subscriber, seconds."""
    build_checkpoint(root)
    (root / "broker").mkdir()
    broker = Mosquitto(program, root / "broker")
    camera = 'kind = "folder"\npath = "frames"\nloop = true\nrate_hz = 1.5'
    settings = write_station(
        root, STATION, cameras_line=camera, mqtt=f"port = {broker.port}", log='keep_images = "all"\nmin_free_bytes = 0'
    )
    write_pictures(settings.folder / "frames", 4)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        pair = Pair(root, settings, int(probe.getsockname()[1]), has_users=False)
    broker.start()
    arrived: dict[int, float] = {}
    heard = Subscriber(broker.port, "inspector/#")

    def note(_client: object, _userdata: object, message: Any) -> None:
        if message.topic.endswith("/result"):
            arrived.setdefault(json.loads(message.payload)["seq"], time.time())

    heard.client.on_message = note
    try:
        for part in ("daemon", "dashboard"):
            pair.start(part)
        back(lambda: pair.works("dashboard"))
        back(lambda: pair.log.exists() and newest(pair.log) > 0)
        shown = _watch(pair, verdicts)
        with Log(pair.log, STATION, read_only=True) as log:
            reached = {one.seq: one.inspected_at.timestamp() for one in log.find(limit=10**6)}
    finally:
        pair.close()
        heard.close()
        broker.kill()
    delays = [at_ms / 1000 - reached[seq] for seq, at_ms in shown[1:]]  # the first was there before the page
    return delays, [at - reached[seq] for seq, at in arrived.items() if seq in reached]


def _watch(pair: Pair, verdicts: int) -> list[tuple[int, float]]:
    """Look at the live view until it has shown so many verdicts; return each number and when it came, milliseconds since 1970."""
    with chromium.browser() as context:
        context.add_init_script(_NOTE)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{pair.port}/")
        while True:
            page.wait_for_timeout(1000)
            shown: list[tuple[int, float]] = page.evaluate("window.noted")
            if len(shown) > verdicts:
                return shown


if __name__ == "__main__":
    main()
