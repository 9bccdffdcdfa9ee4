"""A frozen set: pictures with their context and what the *source* model said of them, against which a deployed model is held.

It is a folder ``parity/`` of lossless PNG files, ``vectors.npy`` with the report vectors and ``set.json``, which holds a SHA-256 of each of
them and a seal over itself: a truncated or altered set is refused by name. Opening reads and hashes, but decodes no picture.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.errors import CheckpointError

FOLDER = "parity"
"""Name of a set's folder, below a checkpoint's or a station's."""
FORMAT = 1
"""Version of set.json that this code reads."""
_LIST, _VECTORS = "set.json", "vectors.npy"
_CURE = "fetch the folder anew, or write the set anew: inspector models freeze STATION"
_UNTOLD = datetime.min.replace(tzinfo=UTC)
"""The model reads a report's vector alone; when it was written is not kept."""


@dataclass(frozen=True, slots=True)
class FrozenPicture:
    """One picture, what the model reads beside it, and what the source said."""

    file: Path
    """PNG file."""
    context: Context
    """Product, labels and report vectors."""
    expected: Mapping[str, float]
    """The source's posterior over all labels; sums to 1."""

    def pixels(self) -> Image:
        """Return (h, w, 3) uint8 RGB. Raises ``CheckpointError`` if this OpenCV cannot decode it."""
        image = cv2.imread(str(self.file), cv2.IMREAD_COLOR)
        if image is None:
            raise CheckpointError(f"{self.file}: cannot be decoded as PNG; {_CURE}")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@dataclass(frozen=True, slots=True)
class FrozenSet:
    """A set whose files are present and unaltered."""

    folder: Path
    """Where it lies."""
    model: str
    """``name@revision`` of the deployed checkpoint that is to answer as its source did."""
    source: str
    """What gave the posteriors, in words."""
    seal: str
    """SHA-256 over all that it holds, hex."""
    pictures: tuple[FrozenPicture, ...]
    """The pictures, in order."""


def open_set(folder: Path) -> FrozenSet:
    """Return the set in a folder. Raises ``CheckpointError`` that names what is missing, truncated or altered."""
    table = _sealed(folder / _LIST)
    try:
        vectors = np.load(io.BytesIO(_content(folder / _VECTORS, table["vectors"])))
        contexts = _Contexts(table["products"], vectors)
        pictures = []
        for entry in table["pictures"]:
            _content(folder / entry["file"], entry["sha256"])
            pictures.append(FrozenPicture(folder / entry["file"], contexts.of(entry), entry["posterior"]))
        return FrozenSet(folder, table["model"], table["source"], table["seal"], tuple(pictures))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{folder / _LIST}: is no frozen set: {type(error).__name__} {error}; {_CURE}") from error


def write_set(
    folder: Path, model: str, source: str, made_at: datetime, pictures: Sequence[tuple[str, Image, Context, Mapping[str, float]]]
) -> FrozenSet:
    """Write (file name without ending, picture, context, source's posterior) as a set; return it read back. Raises ``OSError``.

    It is written beside the folder and takes its place when it is whole.
    """
    fresh = folder.with_name(f".{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    rows, entries, products = dict[bytes, int](), list[dict[str, Any]](), dict[str, dict[str, Any]]()
    for name, image, context, posterior in pictures:
        png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
        (fresh / f"{name}.png").write_bytes(png)
        products[context.product] = {"description": context.description, "labels": list(context.labels.names)}
        entries.append({
            "file": f"{name}.png",
            "sha256": hashlib.sha256(png).hexdigest(),
            "product": context.product,
            "reports": [report.report_id for report in context.reports],
            "rows": [rows.setdefault(np.asarray(vector, np.float32).tobytes(), len(rows)) for vector in context.vectors],
            "posterior": {label: round(float(p), 6) for label, p in posterior.items()},
        })  # fmt: skip
    width = pictures[0][2].vectors.shape[1] if pictures else 0
    np.save(fresh / _VECTORS, np.frombuffer(b"".join(rows), np.float32).reshape(len(rows), width))
    table = {"format": FORMAT, "model": model, "source": source, "made_at": made_at.isoformat(timespec="seconds"), "products": products}
    table |= {"vectors": hashlib.sha256((fresh / _VECTORS).read_bytes()).hexdigest(), "pictures": entries}
    (fresh / _LIST).write_text(json.dumps(table | {"seal": _seal(table)}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return open_set(folder)


class _Contexts:
    """Turns entries of set.json into contexts."""

    def __init__(self, products: Mapping[str, Any], vectors: NDArray[np.float32]) -> None:
        """Keep what entries refer to."""
        self._products, self._vectors = products, vectors

    def of(self, entry: Mapping[str, Any]) -> Context:
        """Return what the model reads beside a picture."""
        product = self._products[entry["product"]]
        reports = tuple(Report(report_id, _UNTOLD, entry["product"], "") for report_id in entry["reports"])
        vectors = self._vectors[np.array(entry["rows"], np.int64)]  # (R, d)
        return Context(entry["product"], product["description"], LabelSet(tuple(product["labels"])), reports, vectors)


def _sealed(path: Path) -> dict[str, Any]:
    """Return the table of a set.json whose seal is whole."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the frozen set is missing; {_CURE}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON, it is truncated or altered ({error}); {_CURE}") from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        found = table.get("format") if isinstance(table, dict) else type(table).__name__
        raise CheckpointError(f"{path}: format {found!r}, this version reads format {FORMAT}; update inspector or the model")
    if table.get("seal") != _seal({key: value for key, value in table.items() if key != "seal"}):
        raise CheckpointError(f"{path}: does not match its seal, it is altered; {_CURE}")
    return table


def _seal(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _content(path: Path, sha256: str) -> bytes:
    """Return a file's bytes. Raises ``CheckpointError`` if they are not those that were frozen."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: a file of the frozen set cannot be read ({error.strerror}); {_CURE}") from error
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise CheckpointError(f"{path}: sha256 {found[:12]}..., expected {sha256[:12]}...; it is truncated or altered, {_CURE}")
    return content
