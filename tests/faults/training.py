"""``make train-faults``: a station's training killed at random instants must end as it does when nobody disturbs it.

The shipped steel strip pictures are learnt twice by the real command, once undisturbed and once through ``kill -9``; the second run must
go on where it was, and both must leave a model in place whose numbers agree within the noise of so few pictures.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspector.settings import read_station

ROOT = Path(__file__).parents[2]
PRODUCT = "steel-strip"
_ALLOWED = 0.1
"""Largest difference of accuracy between both runs: of 12 pictures to check with, one."""


@click.command
@click.option("--kills", default=5, show_default=True, help="How often.")
@click.option("--minutes", default=3.0, show_default=True, help="What inspector train is given.")
@click.option("--seed", default=1, show_default=True, help="Seed of the instants.")
@click.option("--folder", default="var/train-faults", show_default=True, type=click.Path(path_type=Path), help="Where everything is left.")
def main(kills: int, minutes: float, seed: int, folder: Path) -> None:
    """Train twice and compare."""
    console, rng, folder = Console(width=120), random.Random(seed), folder.resolve()  # noqa: S311 - instants, no secret
    shutil.rmtree(folder, ignore_errors=True)
    plain = _trained(_laid_out(folder / "plain"), minutes, [], console)
    killed = _trained(_laid_out(folder / "killed"), minutes, [rng.uniform(0.3, 1.0) for _ in range(kills)], console)
    table = Table("run", "kills", "resumed", "accuracy", "macro-F1", "model in place", title=f"{PRODUCT}, {minutes:g} min")
    for name, run in (("undisturbed", plain), ("killed", killed)):
        table.add_row(name, *(str(run[key]) for key in ("kills", "resumed", "accuracy", "macro_f1", "model")))
    console.print(table)
    (folder / "result.json").write_text(json.dumps({"plain": plain, "killed": killed}, indent=2) + "\n", encoding="utf-8")
    if killed["kills"] < kills or not killed["resumed"] or abs(plain["accuracy"] - killed["accuracy"]) > _ALLOWED:
        console.print("FAILED: the killed run did not resume, or ended elsewhere")
        sys.exit(1)


def _laid_out(root: Path) -> Path:
    """Write a station and its labelled pictures below a root of its own; return it."""
    demo = ROOT / "calibration" / "demo"
    (root / "models").mkdir(parents=True)
    (root / "models" / "inspector-edge").symlink_to(ROOT / "models" / "inspector-edge")
    labels = read_station(demo).products[PRODUCT].labels
    station = root / "calibration" / "strip"
    station.mkdir(parents=True)
    lines = [f"[products.{PRODUCT}]", f"labels = {json.dumps(labels)}", 'description = "hot rolled steel strip"', 'symmetry = "both"']
    lines += ["[cameras.line]", 'kind = "folder"', 'path = "frames"', "[reports]", "max_reports = 0", "[mqtt]", "enabled = false"]
    (station / "station.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (demo / "frames" / "frames.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["product"] == PRODUCT:
                target = root / "data" / row["label"]
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(demo / "frames" / row["file"], target / row["file"])
    return root


def _trained(root: Path, minutes: float, shares: list[float], console: Console) -> dict[str, Any]:
    """Run ``inspector train`` to its end through a kill after each share of the time that it says it has; return what came of it."""
    often = "import inspector.training.train as t; t.SAVE_EVERY_S = 4.0; from inspector.cli import main; main()"
    command = [sys.executable, "-c", often, "--root", str(root), "train", "strip", "--data", str(root / "data"), "--no-groups"]
    command += ["--minutes", str(minutes)]
    work, done = root / "var" / "strip" / "train", 0
    environment = os.environ | {"COLUMNS": "120"}
    for share in shares:
        before = _states(work)
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
        ) as process:
            _wait_for_learning(process, work, before, 60.0 * minutes * share)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                done += 1
    states = _states(work)
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if ended.returncode:
        console.print(ended.stderr[-2000:], highlight=False)
        sys.exit(1)
    settings = read_station(root / "calibration" / "strip")
    document = json.loads((root / "models" / settings.model.checkpoint / "training.json").read_text(encoding="utf-8"))["evaluation"]
    return {
        "kills": done,
        "resumed": bool(states),
        "accuracy": document["accuracy"],
        "macro_f1": document["macro_f1"],
        "model": settings.model.checkpoint,
    }


def _wait_for_learning(process: subprocess.Popen[bytes], work: Path, before: dict[str, float], at_most_s: float) -> None:
    """Wait until a new state has been written since ``before``, and then a little; never longer than the time given."""
    until_s = time.monotonic() + at_most_s + 30.0
    while process.poll() is None and time.monotonic() < until_s and _states(work) == before:
        time.sleep(0.2)
    time.sleep(min(4.0, at_most_s / 20))


def _states(work: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime for path in work.glob("*/*.state.pt")}


if __name__ == "__main__":
    main()
