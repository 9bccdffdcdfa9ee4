"""The shipped scrape configuration and alerts, read by Prometheus' own tool where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "docs/examples/prometheus"


@pytest.mark.parametrize("words", [("check", "rules", "inspector.rules.yml"), ("check", "config", "prometheus.yml")])
def test_prometheus_takes_the_example(words: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run([promtool, *words], cwd=EXAMPLES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
