"""Every file opened once: is it a picture, how large, what is its content's hash, and what does it look like in small.

Files are read and decoded in a thread pool, with the decoder of the cameras: what the daemon would refuse is found here. What was found is
kept in a cache by path, size and time of change, so that evaluation does not open again what training opened.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from inspector.core.frame import Image
from inspector.edge.camera.decode import decode_image, picture_bytes
from inspector.edge.camera.header import read_header
from inspector.errors import CameraError
from inspector.training.listing import Listed

THUMBNAIL_PX = 32
"""Side of the small picture that near doubles are found with."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a sound file holds."""

    sha256: str
    """Hash of the file's bytes."""
    pixels: str
    """Hash of the decoded pixels."""
    width_px: int
    """Width as decoded, upright."""
    height_px: int
    """Height as decoded, upright."""
    stored_px: tuple[int, int]
    """Width and height in the file, before EXIF rotation."""
    look: int
    """64-bit difference hash: near pictures differ in few bits."""
    thumbnail: NDArray[np.uint8]
    """(32, 32) grey."""


def examine(listed: Sequence[Listed], console: Console | None, cache: Path | None) -> dict[str, Examined | str]:
    """Return for each file what it holds, or what is wrong with it in words. ``cache`` is a file that is read and written."""
    stamps = {picture.file: _stamp(picture.path) for picture in listed}
    kept = _read_cache(cache) if cache is not None else {}
    known: dict[str, Examined | str] = {file: kept[file][1] for file, stamp in stamps.items() if file in kept and kept[file][0] == stamp}
    fresh = [picture for picture in listed if picture.file not in known]
    if fresh:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done: Iterator[Examined | str] = pool.map(lambda picture: _examine(picture.path), fresh)
            shown: Iterable[Examined | str] = done
            if console is not None:
                shown = track(done, f"reading {len(fresh)} pictures", total=len(fresh), console=console)
            known |= {picture.file: found for picture, found in zip(fresh, shown, strict=True)}
    if cache is not None and fresh:
        _write_cache(cache, kept | {file: (stamps[file], found) for file, found in known.items() if isinstance(found, Examined)})
    return known


def _examine(path: Path) -> Examined | str:
    try:
        content = picture_bytes(path)
        image = decode_image(content)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except CameraError as error:
        return str(error).removesuffix("; write it again")
    header = read_header(content)
    height, width = image.shape[:2]
    pixels = hashlib.sha256(f"{height}x{width}".encode())
    pixels.update(np.ascontiguousarray(image).data)
    look, thumbnail = looks(image)
    return Examined(
        hashlib.sha256(content).hexdigest(), pixels.hexdigest(), width, height, (header.width_px, header.height_px), look, thumbnail
    )


def looks(image: Image) -> tuple[int, NDArray[np.uint8]]:
    """Return the 64-bit difference hash (is each of 8 x 8 cells darker than its right neighbour?) and the (32, 32) grey thumbnail."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    middle = cv2.resize(grey, (72, 64), interpolation=cv2.INTER_AREA)  # 8 x 8 pixels a cell; shrinking the whole picture twice is slow
    cells = np.asarray(cv2.resize(middle, (9, 8), interpolation=cv2.INTER_AREA), np.int16)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    thumbnail = np.asarray(cv2.resize(middle, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), np.uint8)
    return int.from_bytes(bits.tobytes(), "big"), thumbnail


def _stamp(path: Path) -> tuple[int, int]:
    """Return size in bytes and time of change in ns; a missing file has neither."""
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns


def _read_cache(path: Path) -> dict[str, tuple[tuple[int, int], Examined]]:
    """Return file -> (stamp, what it holds)."""
    if not path.is_file():
        return {}
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as table:
            columns = [table[name] for name in ("files", "stamps", "sha256", "pixels", "sizes", "looks", "thumbnails")]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}  # a cache that cannot be read is made anew: it only saves time
    return {
        str(file): ((int(stamp[0]), int(stamp[1])), Examined(str(sha), str(pixels), int(w), int(h), (int(sw), int(sh)), int(look), small))
        for file, stamp, sha, pixels, (w, h, sw, sh), look, small in zip(*columns, strict=True)
    }


def _write_cache(path: Path, rows: dict[str, tuple[tuple[int, int], Examined]]) -> None:
    found = [examined for _, examined in rows.values()]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(
        fresh,
        files=np.array(list(rows), np.str_),
        stamps=np.array([stamp for stamp, _ in rows.values()], np.int64).reshape(-1, 2),
        sha256=np.array([one.sha256 for one in found], np.str_),
        pixels=np.array([one.pixels for one in found], np.str_),
        sizes=np.array([(one.width_px, one.height_px, *one.stored_px) for one in found], np.int64).reshape(-1, 4),
        looks=np.array([one.look for one in found], np.uint64),
        thumbnails=np.array([one.thumbnail for one in found], np.uint8).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX),
    )
    fresh.replace(path)  # a kill never leaves half a cache under the final name
