"""A full checkpoint: a folder as OpenBMB publishes MiniCPM-V 4.6 and 4.7 on the hub, with or without a report projector beside it.

``open_full`` sees that every file is there, that none is truncated or, where ``origin.toml`` says what they should be, altered. It reads
headers and hashes and imports neither torch nor transformers. The revision covers the files and the settings that change an answer.
"""

import functools
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from safetensors import safe_open
from tokenizers import Tokenizer

from inspector.errors import CheckpointError
from inspector.settings import ImageTokens, ModelSection
from inspector.vlm.checkpoint import Checkpoint, revision_of, sha256

MODEL_TYPES = ("minicpmv4_6", "minicpmv4_7")
"""Values of ``model_type`` in config.json that this code reads."""
REPORTS = "reports.safetensors"
"""The report projector's file."""
ORIGIN = "origin.toml"
"""Where the files came from and their hashes, written by ``inspector models pull``."""
ADAPTERS = "adapters"
"""Folder with the LoRA adapters of a model that ``inspector train`` has taught; they are merged into its weights already."""
TRAINING = "training.json"
"""What shaped a trained model; it shapes no answer."""
_INDEX = "model.safetensors.index.json"
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json|processor_config.json")
_SHAPING = ("*.json", "*.jinja", "*.safetensors", "*.txt")
"""Files that shape an answer."""
_IDLE = ("generation_config.json", TRAINING)
_LENGTH_BYTES, _LONGEST_HEADER = 8, 100_000_000
"""A safetensors file begins with the length of its header; longer ones than this are refused by safetensors itself."""
_COPY = "copy it from the model's page on the hub, or fetch the folder: inspector models pull"


@dataclass(frozen=True, slots=True)
class FullCheckpoint:
    """A MiniCPM-V whose files are present."""

    folder: Path
    """Where it lies."""
    name: str
    """Its folder's name."""
    revision: str
    """First 12 hex digits of the hash over its files and the settings that change an answer."""
    source: str
    """As ``revision``, but without the precision: in every precision the model is to answer as the same source."""
    config: Mapping[str, Any]
    """What config.json says."""
    weights: tuple[Path, ...]
    """Files with the model's own weights."""
    report_width: int
    """Width of a report vector; 0 if there is no report projector."""
    encoder: str
    """Revision of the report encoder that the projector reads; empty if there is no report projector."""
    is_verified: bool
    """True if the hashes of all files were known beforehand and are right."""

    @property
    def model_type(self) -> str:
        """``minicpmv4_6`` or ``minicpmv4_7``."""
        return str(self.config["model_type"])

    @property
    def identity(self) -> str:
        """What a frozen set is made for: model type and source, whatever the folder's name and the precision."""
        return f"{self.model_type}@{self.source}"

    @property
    def is_trained(self) -> bool:
        """True if ``inspector train`` made it: then it has a frozen set."""
        return (self.folder / ADAPTERS).is_dir()

    @property
    def projector(self) -> Path:
        """The report projector's file."""
        return self.folder / REPORTS

    def refuse_other_encoder(self, revision: str) -> None:
        """Raise ``CheckpointError`` if the report encoder in use is not the one that the projector has learnt to read."""
        if self.encoder and revision != self.encoder:
            raise CheckpointError(
                f"reports.encoder is {revision}, but {self.projector} reads reports encoded by {self.encoder}; set that one"
            )

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer."""
        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))


AnyCheckpoint: TypeAlias = Checkpoint | FullCheckpoint


def is_full(folder: Path) -> bool:
    """Return whether a folder is to be read as a full checkpoint: it has config.json and no model.toml."""
    return (folder / "config.json").is_file() and not (folder / "model.toml").is_file()


def full_folders(models: Path) -> list[Path]:
    """Return the folders below ``models`` that hold a full MiniCPM-V, as they are laid out there: ``NAME`` or ``OWNER/NAME``."""
    places = sorted(path.parent for depth in ("[!.]*", "[!.]*/[!.]*") for path in models.glob(f"{depth}/config.json"))
    return [place for place in places if is_full(place) and _json_or_empty(place / "config.json").get("model_type") in MODEL_TYPES]


def open_full(folder: Path, model: ModelSection) -> FullCheckpoint:
    """Return the checkpoint in a folder. Raises ``CheckpointError`` with every fault found."""
    faults = verify_full(folder)
    if faults:
        raise CheckpointError("\n".join(faults))
    config, reports = _json(folder / "config.json"), folder / REPORTS
    encoder, report_width = _projector(reports, config) if reports.is_file() else ("", 0)
    hashes = {path.name: file_hash(path) for path in shaping_files(folder)}
    hashes |= {"image_tokens": model.image_tokens, "max_slices": str(model.max_slices)}
    reading: dict[str, str] = {"precision": model.precision}
    if model.vision == "onnx" and (record := graph_path(folder, model.image_tokens).with_suffix(".toml")).is_file():
        reading["vision"] = file_hash(record)
    return FullCheckpoint(
        folder=folder,
        name=folder.resolve().name,
        revision=revision_of(hashes | reading),
        source=revision_of(hashes),
        config=config,
        weights=tuple(_weights(folder)),
        report_width=report_width,
        encoder=encoder,
        is_verified=(folder / ORIGIN).is_file(),
    )


def graph_path(folder: Path, image_tokens: ImageTokens) -> Path:
    """Return where a checkpoint's vision graph for a token mode lies; its record lies beside it, ending in .toml."""
    return folder / "onnx" / f"vision-{image_tokens}.onnx"


def verify_full(folder: Path) -> list[str]:
    """Return every fault of a folder: files missing, truncated, altered or of another kind. Empty if it may be used."""
    try:
        config = _json(folder / "config.json")
    except CheckpointError as error:
        return [str(error)]
    if config.get("model_type") not in MODEL_TYPES:
        found = config.get("model_type")
        return [
            f"{folder / 'config.json'}: model_type is {found!r}, expected {' or '.join(MODEL_TYPES)}; set model.checkpoint to such a model"
        ]
    faults = [f"{folder / names.split('|')[0]}: the file is missing; {_COPY}" for names in _NEEDED if not _any(folder, names)]
    if not (folder / "chat_template.jinja").is_file() and "chat_template" not in _json_or_empty(folder / "tokenizer_config.json"):
        faults.append(f"{folder / 'chat_template.jinja'}: the file is missing; {_COPY}")
    try:
        for path in _weights(folder):
            tensor_sizes(path)
        if (folder / REPORTS).is_file():
            _projector(folder / REPORTS, config)
    except CheckpointError as error:
        faults.append(str(error))
    return faults or list(_altered(folder))


def tensor_sizes(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype (``F32``, ``BF16``, ...) and shape of each tensor in a safetensors file, from its header alone.

    Read and not mapped: under a limit on address space a file larger than that could not even be counted. Raises ``CheckpointError`` if the
    file is missing, truncated or no such file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: the file is missing; {_COPY}")
    try:
        parts = _header(path)
        return {name: (str(part["dtype"]), tuple(int(side) for side in part["shape"])) for name, part in parts.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise CheckpointError(f"{path}: truncated or no safetensors file ({error}); {_COPY}") from error


def _header(path: Path) -> dict[str, Any]:
    """Return the entries of a safetensors file's header. Raises ``ValueError`` and others if it is none, or not of the length it says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 0 < length <= min(size - _LENGTH_BYTES, _LONGEST_HEADER):
            raise ValueError("its header is longer than the file")
        parts = {name: part for name, part in json.loads(file.read(length)).items() if name != "__metadata__"}
    if _LENGTH_BYTES + length + max((part["data_offsets"][1] for part in parts.values()), default=0) != size:
        raise ValueError("its length is not what the header says")
    return parts


def shaping_files(folder: Path) -> list[Path]:
    """Return the files of a folder that shape an answer, sorted."""
    return sorted({path for pattern in _SHAPING for path in folder.glob(pattern) if path.name not in _IDLE})


def write_origin(folder: Path, repository: str, commit: str, hashes: Mapping[str, str]) -> None:
    """Write down where a folder's files came from and what they must hash to."""
    lines = ["format = 1", f"repository = {json.dumps(repository)}", f"commit = {json.dumps(commit)}", "", "[sha256]"]
    lines += [f"{json.dumps(name)} = {json.dumps(hashes[name])}" for name in sorted(hashes)]
    (folder / ORIGIN).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _altered(folder: Path) -> Iterator[str]:
    """Find the files that are not what ``origin.toml`` says they should be."""
    path = folder / ORIGIN
    if not path.is_file():
        return
    try:
        wanted = tomllib.loads(path.read_text(encoding="utf-8"))["sha256"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, KeyError) as error:
        yield f"{path}: cannot be read ({error}); fetch the folder anew: inspector models pull"
        return
    for name, expected in wanted.items():
        file = folder / name
        if not file.is_file():
            yield f"{file}: the file is missing (sha256 should be {expected[:12]}...); {_COPY}"
        elif (found := file_hash(file)) != expected:
            yield f"{file}: sha256 {found[:12]}..., expected {expected[:12]}...; it is altered, fetch it anew: inspector models pull"


def _projector(path: Path, config: Mapping[str, Any]) -> tuple[str, int]:
    """Return encoder and report width of a report projector. Raises ``CheckpointError`` if it does not fit the model."""
    sizes = tensor_sizes(path)
    with safe_open(path, framework="numpy") as file:
        encoder = (file.metadata() or {}).get("encoder", "")
    width, inner = config["text_config"]["hidden_size"], sizes.get("inner.weight", ("", (0, 0)))[1]
    inputs = inner[-1] if inner else 0
    wanted = {
        "mean": (inputs,), "deviation": (inputs,), "inner.weight": (width, inputs), "inner.bias": (width,),
        "outer.weight": (width, width), "scale.weight": (width,), "scale.bias": (width,),
    }  # fmt: skip
    if not encoder or {name: shape for name, (_, shape) in sizes.items()} != wanted:
        raise CheckpointError(f"{path}: no report projector for a model of width {width}; remove it to go on without reports, or train one")
    return encoder, inputs


def _weights(folder: Path) -> Iterable[Path]:
    """Return the files that hold the weights. Raises ``CheckpointError`` if the index cannot be read."""
    if (folder / _INDEX).is_file():
        shards = _json(folder / _INDEX).get("weight_map", {}).values()
        return [folder / name for name in sorted(set(shards))]
    return [folder / "model.safetensors"]


def _any(folder: Path, names: str) -> bool:
    return any((folder / name).is_file() for name in names.split("|"))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file; gigabytes are read once as long as nobody touches the file."""
    status = path.stat()
    return _hash_of(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _hash_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256(path)


def _json_or_empty(path: Path) -> Mapping[str, Any]:
    return _json(path) if path.is_file() else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing; {_COPY}") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}; {_COPY}") from error
    if not isinstance(table, dict):
        raise CheckpointError(f"{path}: expected an object, found {type(table).__name__}; {_COPY}")
    return table
