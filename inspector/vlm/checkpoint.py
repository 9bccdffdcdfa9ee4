"""A checkpoint: ``models/<name>/model.toml`` says which files it has, their hashes and its sizes.

``open_checkpoint`` checks every hash before anything is loaded: a missing, truncated or altered file is refused by name.
"""

import gzip
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inspector.errors import CheckpointError
from inspector.vlm.embedding import read_table

FORMAT = 1
"""Version of model.toml of a checkpoint whose embedding table is float16."""
PACKED_FORMAT = 2
"""Version of model.toml of a checkpoint whose embedding table is packed; programs that know version 1 alone refuse it by that."""
PARTS = ("vision", "projector", "decoder", "embedding", "tokenizer")
"""Files that every edge checkpoint has."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An edge checkpoint whose files are present and unaltered."""

    folder: Path
    """Where it lies."""
    name: str
    """Its name."""
    revision: str
    """First 12 hex digits of the hash over all its files."""
    files: dict[str, Path]
    """Part name to file."""
    image_px: int
    """Side of the square picture that the vision tower reads."""
    image_slots: int
    """Slots that one picture takes in the language model's input."""
    width: int
    """Width D of the language model."""
    past_shape: tuple[int, int, int]
    """(layers, key-value heads, head width) of the decoder's past."""
    report_width: int
    """Width of a report vector."""
    encoder: str
    """Revision of the report encoder that the projector was trained with."""

    @property
    def identity(self) -> str:
        """What a frozen set is made for: ``name@revision``."""
        return f"{self.name}@{self.revision}"

    def refuse_other_encoder(self, revision: str) -> None:
        """Raise ``CheckpointError`` if the report encoder in use is not the one that the projector has learnt to read."""
        if revision != self.encoder:
            raise CheckpointError(f"reports.encoder is {revision}, but {self.name} reads reports encoded by {self.encoder}; set that one")

    def tokenizer(self) -> Tokenizer:
        """Return the cut tokenizer."""
        stored = self.files["tokenizer"].read_bytes()
        return Tokenizer.from_str((gzip.decompress(stored) if self.files["tokenizer"].suffix == ".gz" else stored).decode())

    def embedding(self) -> NDArray[np.float16]:
        """Return the (V, D) float16 embedding table."""
        return read_table(self.files["embedding"], self.width)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint in a folder. Raises ``CheckpointError`` with every fault found."""
    faults = verify(folder)
    if faults:
        raise CheckpointError("\n".join(faults))
    table = _read(folder)
    sizes = table["sizes"]
    return Checkpoint(
        folder=folder,
        name=table["name"],
        revision=revision_of({part: entry["sha256"] for part, entry in table["files"].items()}),
        files={part: folder / entry["file"] for part, entry in table["files"].items()},
        image_px=sizes["image_px"],
        image_slots=sizes["image_slots"],
        width=sizes["width"],
        past_shape=(sizes["layers"], sizes["kv_heads"], sizes["head_width"]),
        report_width=sizes["report_width"],
        encoder=table["encoder"],
    )


def verify(folder: Path) -> list[str]:
    """Return every fault of a checkpoint folder: files missing, truncated or altered. Empty if it may be used."""
    try:
        table = _read(folder)
    except CheckpointError as error:
        return [str(error)]
    faults = []
    for part in PARTS:
        entry = table.get("files", {}).get(part)
        if entry is None:
            faults.append(f"{folder / 'model.toml'}: files.{part} is missing; fetch the model folder anew")
            continue
        path = folder / entry["file"]
        if not path.is_file():
            faults.append(f"{path}: the file is missing (sha256 should be {entry['sha256'][:12]}...); fetch the model folder anew")
        elif path.stat().st_size != entry["bytes"]:
            faults.append(f"{path}: {path.stat().st_size} bytes, expected {entry['bytes']}; it is truncated or altered, fetch it anew")
        elif (found := sha256(path)) != entry["sha256"]:
            faults.append(f"{path}: sha256 {found[:12]}..., expected {entry['sha256'][:12]}...; it is altered, fetch it anew")
    return faults


def revision_of(hashes: dict[str, str]) -> str:
    """Return the revision of a set of files: the hash over their sorted hashes, 12 hex digits."""
    return hashlib.sha256("".join(f"{part}:{hashes[part]}\n" for part in sorted(hashes)).encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "model.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / "config.json").is_file():
            raise CheckpointError(f"{folder}: a full MiniCPM-V; this is for inspector-edge and models trained from it alone") from None
        raise CheckpointError(f"{path}: there is no such model; set model.checkpoint to a folder below models/ or to a path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as TOML: {error}") from error
    if table.get("format") not in {FORMAT, PACKED_FORMAT}:
        known = f"this version reads formats {FORMAT} and {PACKED_FORMAT}"
        raise CheckpointError(f"{path}: format {table.get('format')!r}, {known}; update inspector or the model")
    return table
