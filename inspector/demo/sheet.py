"""The contact sheet: every picture with its verdict, right ones framed green with a tick, wrong ones red with a cross."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_TILE, _TEXT, _GAP, _COLUMNS = 150, 46, 8, 10
_GREEN, _RED, _AMBER, _INK, _PAPER = (70, 140, 40), (40, 40, 200), (20, 140, 225), (40, 40, 40), (250, 250, 250)  # BGR


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet."""

    picture: Path
    """File."""
    truth: str
    """True label."""
    answer: str | None
    """Label of the verdict; None after a fault."""
    confidence: float
    """Probability of the answer, 0..1."""
    disposition: str
    """pass, fail or review."""
    remark: str = ""
    """What is wrong with it although the label is right."""

    @property
    def is_right(self) -> bool:
        """True if the answer is the true label and nothing else is wrong."""
        return self.answer == self.truth and not self.remark


def write_sheet(path: Path, tiles: Sequence[Tile], title: str) -> None:
    """Write the sheet as PNG."""
    rows = -(-len(tiles) // _COLUMNS)
    high, wide = _TILE + _TEXT + _GAP, _TILE + _GAP
    sheet = np.full((54 + rows * high + _GAP, _COLUMNS * wide + _GAP, 3), _PAPER, np.uint8)
    _write(sheet, title, (_GAP + 2, 35), 0.72, _INK)
    for index, tile in enumerate(tiles):
        x, y = _GAP + index % _COLUMNS * wide, 54 + index // _COLUMNS * high
        _draw(sheet[y : y + _TILE + _TEXT, x : x + _TILE], tile)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


def _draw(cell: NDArray[np.uint8], tile: Tile) -> None:
    image = cv2.imread(str(tile.picture), cv2.IMREAD_COLOR)
    if image is not None:
        cell[:_TILE] = cv2.resize(image, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    colour = _GREEN if tile.is_right else _RED
    cv2.rectangle(cell, (1, 1), (_TILE - 2, _TILE - 2), colour, 3)
    _mark(cell, tile.is_right, colour)
    _write(cell, _fitted(tile.answer or "no answer"), (2, _TILE + 14), 0.38, colour if not tile.is_right else _INK)
    shade = _AMBER if tile.disposition == "review" else _INK
    _write(cell, f"{tile.disposition} {tile.confidence:.2f}", (2, _TILE + 28), 0.38, shade)
    if not tile.is_right:
        _write(cell, _fitted(tile.remark or f"true: {tile.truth}"), (2, _TILE + 42), 0.38, _RED)


def _mark(cell: NDArray[np.uint8], is_right: bool, colour: tuple[int, int, int]) -> None:  # noqa: FBT001 - drawn, not decided
    """Draw a tick or a cross, so that the sheet can be read without colour."""
    cv2.rectangle(cell, (_TILE - 26, 3), (_TILE - 4, 25), _PAPER, -1)
    strokes = [((-22, 14), (-17, 20)), ((-17, 20), (-8, 8))] if is_right else [((-22, 8), (-8, 20)), ((-8, 8), (-22, 20))]
    for (x0, y0), (x1, y1) in strokes:
        cv2.line(cell, (_TILE + x0, y0), (_TILE + x1, y1), colour, 2, cv2.LINE_AA)


def _fitted(text: str) -> str:
    """Shorten a text to the width of a tile."""
    return text if len(text) <= 24 else text[:22] + ".."


def _write(image: NDArray[np.uint8], text: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
