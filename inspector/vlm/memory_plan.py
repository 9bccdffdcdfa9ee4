"""How much memory a full MiniCPM-V will take, counted before a byte of it is loaded, and a refusal in time instead of a killed daemon.

Weights are counted from the headers of the safetensors files, exactly. What the work takes on top (activations, caches, the libraries
themselves) is estimated from the sizes in config.json and the settings; ``inspector bench --full`` prints the estimate beside what was
measured.
"""

import math
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from inspector.errors import CheckpointError
from inspector.settings import ModelSection, Precision
from inspector.vlm.full_checkpoint import FullCheckpoint, graph_path, tensor_sizes

NOT_QUANTISED = ("model.vision_tower", "model.merger", "lm_head", "in_proj_a", "in_proj_b")
"""Modules that int8 and int4 leave in bfloat16, beside the embeddings: what pictures go through, the head that labels are read from, and
the gates of linear attention, which have too few rows for the kernels of CPUs."""
PREFIXES_KEPT = 8
"""Static prefixes whose cache is kept. One of MiniCPM-V 4.6 takes about 20 MB, mostly states of its linear-attention layers."""
_BYTES: dict[Precision, float] = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.01, "int4": 0.5625}
"""Bytes a quantised weight: int8 has one scale a row, NF4 one float32 scale for 64 weights."""
_LIBRARIES = 700_000_000
"""Python, torch and transformers themselves."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Memory that a checkpoint will take."""

    weights_bytes: int
    """The weights in the precision asked for."""
    work_bytes: int
    """Libraries, activations and caches, estimated."""
    loading_bytes: int
    """While weights are quantised on the CPU: the files' pages beside what is made of them."""

    @property
    def total_bytes(self) -> int:
        """The most that will be in use at a time."""
        return max(self.weights_bytes + self.work_bytes, self.loading_bytes)


def plan_memory(checkpoint: FullCheckpoint, model: ModelSection, precision: Precision, *, on_cpu: bool = True) -> MemoryPlan:
    """Count the weights and estimate the work for ``model.max_batch`` pictures of ``model.max_slices`` slices."""
    sizes = {name: shape for path in checkpoint.weights for name, (_, shape) in tensor_sizes(path).items()}
    plain = _BYTES["float32" if precision == "float32" else "bfloat16"]
    weights = int(sum(math.prod(shape) * (_BYTES[precision] if _is_quantised(name, shape) else plain) for name, shape in sizes.items()))
    work = _LIBRARIES + model.max_batch * _picture_bytes(checkpoint, model, plain) + _caches(checkpoint, model)
    read = sum(path.stat().st_size for path in checkpoint.weights) if on_cpu and precision in {"int8", "int4"} else 0
    if model.vision == "onnx":  # the graph's own weights, beside those of torch that it is held against
        path = graph_path(checkpoint.folder, model.image_tokens)
        weights += sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    return MemoryPlan(weights, int(work), weights + read + _LIBRARIES if read else 0)


def refuse_too_large(checkpoint: FullCheckpoint, model: ModelSection, free_bytes: int, *, on_cpu: bool = True) -> None:
    """Raise ``CheckpointError`` with advice if the checkpoint needs more than is allowed or free."""
    limit, reason = free_bytes, f"{'this machine' if on_cpu else 'the GPU'} has {gigabytes(free_bytes)} free"
    if model.max_memory_bytes and model.max_memory_bytes < free_bytes:
        limit, reason = model.max_memory_bytes, f"model.max_memory_bytes is {gigabytes(model.max_memory_bytes)}"
    plan = plan_memory(checkpoint, model, model.precision, on_cpu=on_cpu)
    if plan.total_bytes <= limit:
        return
    raise CheckpointError(
        f"{checkpoint.folder}: needs about {gigabytes(plan.total_bytes)} in {model.precision} (weights {gigabytes(plan.weights_bytes)},"
        f" work {gigabytes(plan.work_bytes)}{_while_loading(plan)}), {reason}; {_advice(checkpoint, model, limit, on_cpu=on_cpu)}"
    )


def host_free_bytes() -> int:
    """Return the memory that this process may still take: what Linux has available, within the limits of its cgroup and ulimit -v."""
    free = [_meminfo("MemAvailable")]
    try:
        group = next(line for line in _lines("/proc/self/cgroup") if line.startswith("0::"))[3:]
        folder = Path("/sys/fs/cgroup") / group.strip("/")
        limit, used = _text(folder / "memory.max"), int(_text(folder / "memory.current"))
        # Pages of files that were read count as used there, and are given up when memory is wanted: the hashed weights are among them.
        pages = dict(line.split() for line in _lines(str(folder / "memory.stat")))
        used -= int(pages.get("active_file", 0)) + int(pages.get("inactive_file", 0))
        free += [int(limit) - used] if limit.isdigit() else []
    except (OSError, StopIteration, ValueError):  # no cgroup v2 here: nothing more is known
        pass
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        free.append(soft - int(_text(Path("/proc/self/statm")).split()[0]) * resource.getpagesize())
    return max(min(free), 0)


def gigabytes(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / 1e9:.1f} GB"


def picture_patches(checkpoint: FullCheckpoint, model: ModelSection) -> int:
    """Return the patches of a picture that is cut into as many slices as ``model.max_slices`` allows."""
    patch, side = checkpoint.config.get("vision_config", {}).get("patch_size", 14), checkpoint.config.get("image_size", 448)
    slices = 1 if model.max_slices == 1 else model.max_slices + 1  # the whole picture is seen beside its slices
    return int(slices * (side // patch) ** 2)


def _is_quantised(name: str, shape: tuple[int, ...]) -> bool:
    kept = {module.rpartition(".")[2] for module in NOT_QUANTISED} | {"embed_tokens"}
    return len(shape) == 2 and name.endswith(".weight") and not kept & set(name.split("."))


def _picture_bytes(checkpoint: FullCheckpoint, model: ModelSection, plain: float) -> float:
    """Activations of one picture: what a layer of the vision tower holds for its patches, in the working precision and in float32."""
    vision = checkpoint.config.get("vision_config", {})
    held = 8 * vision.get("hidden_size", 1152) + 3 * vision.get("intermediate_size", 4304)
    return picture_patches(checkpoint, model) * held * plain


def _caches(checkpoint: FullCheckpoint, model: ModelSection) -> int:
    """States of linear attention for kept prefixes and for a batch with its label paths: (heads, key, value) float32 in each layer."""
    text = checkpoint.config.get("text_config", {})
    heads, key, value = (text.get(f"linear_{part}", 0) for part in ("num_value_heads", "key_head_dim", "value_head_dim"))
    states = 4 * heads * key * value * text.get("num_hidden_layers", 0)
    return int(states * (PREFIXES_KEPT + 6 * model.max_batch))


def _advice(checkpoint: FullCheckpoint, model: ModelSection, limit: int, *, on_cpu: bool) -> str:
    """Return what would fit, or that nothing does; first what needs no other change."""
    less = model.model_copy(update={"max_batch": 1, "max_slices": 1})
    fitting = [
        f'precision = "{precision}"{change}'
        for settings, change in ((model, ""), (less, " with max_batch = 1 and max_slices = 1"))
        for precision in get_args(Precision)
        if plan_memory(checkpoint, settings, precision, on_cpu=on_cpu).total_bytes <= limit
    ]
    if not fitting:
        return 'nothing of it fits there, not even in int4; use a machine with more memory, or checkpoint = "inspector-edge"'
    return f'these fit, in [model]: {"; or ".join(fitting[:3])}; or checkpoint = "inspector-edge"'


def _while_loading(plan: MemoryPlan) -> str:
    return f", {gigabytes(plan.loading_bytes)} while it is quantised" if plan.loading_bytes == plan.total_bytes else ""


def _meminfo(key: str) -> int:
    line = next(line for line in _lines("/proc/meminfo") if line.startswith(key))
    return int(line.split()[1]) * 1024


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="ascii").splitlines()


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
