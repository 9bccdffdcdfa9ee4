"""Traces in the log: what verdicts looked at, written when somebody asks for it, read to follow it over time.

A trace belongs to a logged inspection and goes with it. The same region traced again by the same model replaces its row. ``Traces`` belong
to the thread that opened them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inspector.core.attention import MEASURE, SHARES, Attention
from inspector.edge.instants import from_text, now, to_text
from inspector.edge.schema import open_database, transaction
from inspector.edge.sqlite_errors import as_log_error


class Traces:
    """The traces of one station's log."""

    def __init__(self, path: Path, station: str, *, read_only: bool = False) -> None:
        """Open the log; migrate it first unless ``read_only``. Raises ``LogError``."""
        self.path, self.station = path, station
        self._database = open_database(path, read_only=read_only)

    def __enter__(self) -> Self:
        """Return the open traces."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the log."""
        self._database.close()

    def write(self, found: Sequence[Attention]) -> None:
        """Write the traces of one inspection: all of its regions or none. Raises ``LogError``."""
        with as_log_error(self.path, "write a trace"), transaction(self._database):
            for one in found:
                self._database.table("traces").upsert(_row(one), pk=("inspection_id", "region", "model"))

    def read(self, since: datetime | None = None) -> list[Attention]:
        """Return the station's traces, in the order in which the pictures were taken; not those of another measure. Raises ``LogError``."""
        query = (
            "SELECT t.*, i.captured_at, i.product FROM traces AS t JOIN inspections AS i USING (inspection_id)"
            " WHERE i.station = ? AND t.measure = ? AND (? IS NULL OR i.captured_at >= ?) ORDER BY i.captured_at, i.seq, t.region"
        )
        begin = None if since is None else to_text(since)
        with as_log_error(self.path, "read the traces"):
            return [_attention(row) for row in self._database.query(query, (self.station, MEASURE, begin, begin))]

    def untraced(self, model: str, limit: int, since: datetime | None = None) -> list[str]:
        """Return the newest inspections with a kept picture that this model has not traced yet, at most ``limit``, oldest first."""
        query = (
            "SELECT inspection_id FROM (SELECT i.inspection_id, i.seq FROM inspections AS i WHERE i.station = ? AND i.is_fault = 0"
            " AND i.image_path IS NOT NULL AND (? IS NULL OR i.inspected_at >= ?)"
            " AND NOT EXISTS (SELECT 1 FROM traces AS t WHERE t.inspection_id = i.inspection_id AND t.model = ? AND t.measure = ?)"
            " ORDER BY i.seq DESC LIMIT ?) ORDER BY seq"
        )
        begin = None if since is None else to_text(since)
        with as_log_error(self.path, "read the log"):
            rows = self._database.conn.execute(query, (self.station, begin, begin, model, MEASURE, limit)).fetchall()
        return [str(inspection_id) for (inspection_id,) in rows]


def _row(one: Attention) -> dict[str, Any]:
    return {
        "inspection_id": one.inspection_id,
        "region": one.region,
        "model": one.model,
        "traced_at": to_text(now()),
        "label": one.label,
        **{f"{name}_share": one.shares[name] for name in SHARES},
        "report_shares": _json(one.reports),
        "layer_shares": _json({number: dict(shares) for number, shares in one.layers.items()}),
        "measure": MEASURE,
        "pulls": _json(one.pulls),
        "report_pulls": _json(one.report_pulls),
    }


def _attention(row: Mapping[str, Any]) -> Attention:
    return Attention(
        inspection_id=row["inspection_id"],
        region=row["region"],
        model=row["model"],
        captured_at=from_text(row["captured_at"]),
        product=row["product"],
        label=row["label"],
        shares={name: row[f"{name}_share"] for name in SHARES},
        reports=json.loads(row["report_shares"]),
        layers=json.loads(row["layer_shares"]),
        pulls=json.loads(row["pulls"]),
        report_pulls=json.loads(row["report_pulls"]),
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
