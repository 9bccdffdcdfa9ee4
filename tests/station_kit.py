"""A small station in a folder of its own, with pictures made on the spot and the tiny checkpoint."""

import shutil
import sqlite3
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from inspector.core.frame import Image
from inspector.settings import StationSettings, read_station
from inspector.training.encoder_export import ensure_onnx_encoder

LABELS = ("good", "scale", "scale_pit", "scale_crack")
ENCODER = "all-MiniLM-L6-v2"
PRODUCT = 'description = "ball screw"\nlabels = ["good", "scale", "scale_pit", "scale_crack"]\ngood = "good"'
SECTIONS = {
    "station": 'product = "screw"\nis_simulated = true',
    "products.screw": PRODUCT,
    "products.strip": PRODUCT.replace("ball screw", "strip"),
    "cameras.line": 'kind = "folder"\npath = "frames"',
    "model": 'checkpoint = "tiny"\nthreads = 1',
    "reports": "max_reports = 0",
    "mqtt": "enabled = false",
    "log": 'keep_images = "none"',
}


def write_station(root: Path, name: str = "s1", **sections: str) -> StationSettings:
    """Write a station's folder and return its settings. ``cameras_line`` stands for the table ``cameras.line``."""
    folder = root / "calibration" / name
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    tables = SECTIONS | {key.replace("_", ".", 1): body for key, body in sections.items()}
    (folder / "station.toml").write_text("".join(f"[{key}]\n{body}\n" for key, body in tables.items()), encoding="utf-8")
    return read_station(folder)


def install_tiny(root: Path, tiny: Path) -> None:
    """Put the tiny checkpoint where the root's stations look for it."""
    (root / "models").mkdir(parents=True, exist_ok=True)
    (root / "models" / "tiny").symlink_to(tiny)


def install_tiny_with_encoder(root: Path, tiny: Path, revision: str) -> None:
    """Copy the tiny checkpoint and let it name the real report encoder."""
    target = root / "models" / "tiny"
    shutil.copytree(tiny, target)
    toml = target / "model.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("test@0", revision), encoding="utf-8")


def export_encoder_into(models: Path) -> Path:
    """Return the exported report encoder below ``models``."""
    return ensure_onnx_encoder(ENCODER, models)


def picture(seed: int, height: int = 96, width: int = 128) -> Image:
    """Return a picture with texture, (height, width, 3) uint8 RGB, read-only."""
    coarse = np.random.default_rng(seed).integers(40, 220, (6, 8, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    image.setflags(write=False)
    return image


def write_pictures(folder: Path, count: int) -> list[str]:
    """Write good pictures and return their names."""
    names = [f"part-{number:02d}.png" for number in range(count)]
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), picture(number))
    return names


def write_odd_pictures(folder: Path) -> set[str]:
    """Write pictures of every kind that a line may deliver; return the names of those that cannot be judged."""
    image = picture(50)
    cv2.imwrite(str(folder / "grey.png"), image[:, :, 0])
    cv2.imwrite(str(folder / "deep.png"), image.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "bgra.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGRA))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Pillow.fromarray(image).save(folder / "turned.jpg", exif=exif)
    cv2.imwrite(str(folder / "one.png"), image[:1, :1])
    cv2.imwrite(str(folder / "dark.png"), np.zeros_like(image))
    (folder / "broken.jpg").write_bytes(b"this is no picture")
    (folder / "empty.png").write_bytes(b"")
    return {"one.png", "dark.png", "broken.jpg", "empty.png"}


def break_log(path: Path) -> None:
    """Let every write of a verdict fail as it does on a full disk."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER full_disk BEFORE INSERT ON inspections BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
    connection.commit()
    connection.close()
