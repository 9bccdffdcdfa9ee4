"""Reviewed pictures of a station: what people have signed on its dashboard, as labelled pictures with their groups.

The group is the part, else the lot, else camera and day: where nobody knows which pictures show one part, a coarse group costs little and a
fine one may cost everything.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from inspector.edge.at_rest import connect_to_look
from inspector.edge.instants import from_text
from inspector.edge.sqlite_errors import as_log_error
from inspector.training.listing.listed import Listed

_QUERY = """
SELECT *, max(reviewed_at) FROM reviewed WHERE station = ? AND product = ? AND picture_path IS NOT NULL
GROUP BY inspection_id HAVING label IS NOT NULL ORDER BY seq
"""


def list_reviewed(log: Path, station: str, product: str) -> list[Listed]:
    """Return the pictures of a product, with the label that was signed last. Raises ``LogError`` if the log cannot be read."""
    if not log.exists():
        return []
    with as_log_error(log, "read the reviews"), closing(connect_to_look(log, 5.0)) as connection:
        connection.row_factory = sqlite3.Row
        return list(_listed(log.parent, connection.execute(_QUERY, (station, product)).fetchall()))


def _listed(folder: Path, rows: list[sqlite3.Row]) -> Iterator[Listed]:
    for row in rows:
        day = f"{row['camera']} {row['captured_at'][:10]}"
        group = row["part_id"] or (f"lot {row['lot']}" if row["lot"] else day)
        box = [row["x_px"], row["y_px"], row["width_px"], row["height_px"]]
        boxes = [] if row["x_px"] is None else [{"bbox": box, "class": row["label"]}]
        yield Listed(
            file=f"reviewed/{row['inspection_id']}.jpg",
            path=folder / row["picture_path"],
            label=row["label"],
            group=group,
            taken_at=from_text(row["captured_at"]),
            lot=row["lot"],
            entry={"boxes": boxes} if boxes else None,
        )


def among(listed: Sequence[Listed], reviewed: Sequence[Listed]) -> list[Listed]:
    """Return both; where the folder has sides, reviewed pictures are learnt from, and those of a group that is checked with stay there."""
    sides = {picture.group: picture.split for picture in listed if picture.split is not None}
    return [*listed, *(replace(picture, split=sides.get(picture.group, "train")) if sides else picture for picture in reviewed)]
