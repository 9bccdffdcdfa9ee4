"""The budget: what each stage may take, stored beside the station, against which every later bench is held.

``calibration/STATION/budget.toml`` tells each stage in units of the probes: products of two matrices for what computes, durable writes for
what waits for the disk. Units are measured again in every run, so a budget holds on another machine and beside other work; ``slack`` is
what the noise that is left may take.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspector.bench.loads import Load
from inspector.bench.probes import Probes
from inspector.errors import SettingsError
from inspector.settings.toml_file import UnreadableError, read_table

NAME = "budget.toml"
"""The file's name in the station's folder."""
SLACK = 1.6
"""How many times its budget a stage may take before it is over; written into the file, to be changed there."""
_FLOOR_MS = 1.0
"""A stage that is over by less than this is not over: beside other work a thread waits that long for its core."""
_ON_DISK = ("commit", "puback")


@dataclass(frozen=True, slots=True)
class Budget:
    """What each stage may take."""

    size: str
    """Size of the pictures that it was measured with, such as 1920x1080."""
    slack: float
    """How many times its budget a stage may take."""
    products: Mapping[str, float]
    """Stages that compute, in products of two (512, 512) float32 matrices."""
    writes: Mapping[str, float]
    """Stages that wait for the disk, in durable writes of 4 KiB."""


@dataclass(frozen=True, slots=True)
class Held:
    """One stage against its budget."""

    stage: str
    """Its name."""
    took_ms: float
    """Its median in this run, milliseconds."""
    may_ms: float
    """What it may take in this run, milliseconds."""

    @property
    def is_over(self) -> bool:
        """True if it took more, by more than what a busy machine makes of nothing."""
        return self.took_ms > self.may_ms and self.took_ms - self.may_ms > _FLOOR_MS


def read_budget(folder: Path) -> Budget | None:
    """Return the station's budget, None if it has none. Raises ``SettingsError`` for a file that is no budget."""
    path = folder / NAME
    try:
        table = read_table(path)
        size, slack = str(table["size"]), float(table["slack"])
        products, writes = ({stage: float(units) for stage, units in table[part].items()} for part in ("products", "writes"))
    except FileNotFoundError:
        return None
    except UnreadableError as error:
        raise SettingsError(str(path), [str(error)]) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        expected = "expected size, slack, [products] and [writes] with a number for each stage"
        raise SettingsError(
            str(path), [f"{expected}, found no sound {error}; inspector bench STATION --keep-budget writes it anew"]
        ) from error
    return Budget(size, slack, products, writes)


def hold(budget: Budget, load: Load, probes: Probes) -> list[Held]:
    """Return every budgeted stage that this load has, against what it may take beside this run's probes."""
    parts = ((budget.products, probes.gemm_ms), (budget.writes, probes.sync_ms))
    return [
        Held(stage, load.stages[stage]["p50_ms"], units * unit_ms * budget.slack)
        for table, unit_ms in parts
        for stage, units in table.items()
        if stage in load.stages
    ]


def write_budget(folder: Path, load: Load, probes: Probes, size: str, cpu: str) -> Path:
    """Write the medians of a load as the station's budget and return the file."""
    lines = [
        "# What each stage of a verdict may take (docs/performance.md): written by inspector bench STATION --keep-budget.",
        f"# {datetime.now(UTC).date()}, {cpu}: a product took {probes.gemm_ms:.2f} ms, a durable write {probes.sync_ms:.2f} ms.",
        f'size = "{size}"',
        f"slack = {SLACK}",
    ]
    for title, is_on_disk, unit_ms in (("products", False, probes.gemm_ms), ("writes", True, probes.sync_ms)):
        stages = {stage: numbers for stage, numbers in load.stages.items() if (stage in _ON_DISK) == is_on_disk}
        lines += ["", f"[{title}]", *(f"{stage} = {numbers['p50_ms'] / unit_ms:.3f}" for stage, numbers in stages.items())]
    path = folder / NAME
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
