"""The tables of the first migration. Shipped: a change to a table is a new migration in ``schema``, not an edit here.

Instants are text in UTC (``2026-11-23T14:00:00.123456Z``), truth values 0 or 1, units stand in the names.
"""


def tables() -> tuple[str, ...]:
    """Return the statements that create every table and index."""
    return (_MIGRATIONS, _SEQUENCES, _INSPECTIONS, _FINDINGS, _REVIEWS, _OUTBOX, _REPORTS, _REPORT_VECTORS, _EVENTS, *_INDEXES)


_MIGRATIONS = """
CREATE TABLE migrations (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  applied_at TEXT NOT NULL
)"""

# The last number given stays here when retention has removed the row that bore it.
_SEQUENCES = """
CREATE TABLE sequences (
  station TEXT PRIMARY KEY,
  last_seq INTEGER NOT NULL
)"""

_INSPECTIONS = """
CREATE TABLE inspections (
  inspection_id TEXT PRIMARY KEY,
  station TEXT NOT NULL,
  seq INTEGER NOT NULL,
  camera TEXT NOT NULL,
  frame_id TEXT NOT NULL,
  product TEXT NOT NULL,
  lot TEXT,
  part_id TEXT,
  captured_at TEXT NOT NULL,
  inspected_at TEXT NOT NULL,
  frame_age_ms REAL NOT NULL,
  total_ms REAL,
  disposition TEXT NOT NULL CHECK (disposition IN ('pass', 'fail', 'review')),
  evaluation TEXT NOT NULL CHECK (evaluation IN ('OK', 'NotOK', 'NotDecidable', 'Undefined')),
  reason TEXT NOT NULL,
  is_fault INTEGER NOT NULL CHECK (is_fault IN (0, 1)),
  label TEXT,
  confidence REAL,
  model TEXT NOT NULL,
  report_ids TEXT NOT NULL,
  posterior TEXT NOT NULL,
  timings_ms TEXT NOT NULL,
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  source TEXT,
  image_path TEXT,
  is_simulated INTEGER NOT NULL CHECK (is_simulated IN (0, 1)),
  published_at TEXT,
  UNIQUE (station, seq)
)"""

_FINDINGS = """
CREATE TABLE findings (
  finding_id INTEGER PRIMARY KEY,
  inspection_id TEXT NOT NULL REFERENCES inspections (inspection_id) ON DELETE CASCADE,
  region TEXT NOT NULL,
  label TEXT NOT NULL,
  confidence REAL NOT NULL,
  disposition TEXT NOT NULL CHECK (disposition IN ('fail', 'review')),
  x_px INTEGER,
  y_px INTEGER,
  width_px INTEGER,
  height_px INTEGER
)"""

_REVIEWS = """
CREATE TABLE reviews (
  inspection_id TEXT PRIMARY KEY REFERENCES inspections (inspection_id) ON DELETE CASCADE,
  reviewed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  reviewer TEXT NOT NULL,
  disposition TEXT NOT NULL CHECK (disposition IN ('pass', 'fail')),
  label TEXT,
  note TEXT
)"""

# AUTOINCREMENT: the number of a row that was published and removed is never given again.
_OUTBOX = """
CREATE TABLE outbox (
  row_id INTEGER PRIMARY KEY AUTOINCREMENT,
  inspection_id TEXT UNIQUE REFERENCES inspections (inspection_id),
  queued_at TEXT NOT NULL,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  content_type TEXT NOT NULL,
  properties TEXT NOT NULL
)"""

_REPORTS = """
CREATE TABLE reports (
  report_id TEXT PRIMARY KEY,
  written_at TEXT NOT NULL,
  product TEXT NOT NULL,
  station TEXT,
  lot TEXT,
  label TEXT,
  text TEXT NOT NULL,
  imported_at TEXT NOT NULL,
  source TEXT
)"""

_REPORT_VECTORS = """
CREATE TABLE report_vectors (
  report_id TEXT NOT NULL REFERENCES reports (report_id) ON DELETE CASCADE,
  encoder TEXT NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY (report_id, encoder)
)"""

_EVENTS = """
CREATE TABLE events (
  event_id INTEGER PRIMARY KEY AUTOINCREMENT,
  occurred_at TEXT NOT NULL,
  station TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL
)"""

_INDEXES = (
    "CREATE INDEX inspections_by_time ON inspections (station, inspected_at)",
    "CREATE INDEX inspections_by_camera ON inspections (station, camera, seq)",
    "CREATE INDEX inspections_by_label ON inspections (station, label, seq)",
    "CREATE INDEX inspections_for_review ON inspections (station, inspected_at) WHERE disposition = 'review'",
    "CREATE INDEX inspections_with_image ON inspections (inspected_at) WHERE image_path IS NOT NULL",
    "CREATE INDEX findings_by_inspection ON findings (inspection_id)",
    "CREATE INDEX findings_by_disposition ON findings (disposition, label)",
    "CREATE INDEX outbox_by_topic ON outbox (topic, row_id)",
    "CREATE INDEX reports_by_context ON reports (product, station, lot, written_at)",
    "CREATE INDEX reports_by_lot ON reports (product, lot, written_at)",
    "CREATE INDEX reports_by_time ON reports (product, station, written_at)",
    "CREATE INDEX events_by_time ON events (station, occurred_at)",
)

REMEMBERED = """
CREATE TABLE remembered (
  station TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  set_at TEXT NOT NULL,
  PRIMARY KEY (station, key)
)"""
"""What commands have set and a restart must not forget: lot and product in view. Migration 3."""

NORMALITY = (
    "ALTER TABLE inspections ADD COLUMN normality_score REAL",
    "ALTER TABLE inspections ADD COLUMN normality_limit REAL",
)
"""How unlike good parts the most unlike region is, and the limit it was held against; NULL: nothing was fitted. Migration 5."""

CALIBRATION = "ALTER TABLE inspections ADD COLUMN calibration TEXT"
"""Thresholds and promise that a verdict stands under, as JSON; NULL: nothing was fitted, or no judgement. Migration 4."""

TRACES = """
CREATE TABLE traces (
  inspection_id TEXT NOT NULL REFERENCES inspections (inspection_id) ON DELETE CASCADE,
  region TEXT NOT NULL,
  model TEXT NOT NULL,
  traced_at TEXT NOT NULL,
  label TEXT NOT NULL,
  picture_share REAL NOT NULL,
  reports_share REAL NOT NULL,
  words_share REAL NOT NULL,
  report_shares TEXT NOT NULL,
  layer_shares TEXT NOT NULL,
  PRIMARY KEY (inspection_id, region, model)
)"""
"""What a verdict looked at, written on demand; shares of what the verdict token took in. Migration 6."""

TRACE_PULLS = (
    "ALTER TABLE traces ADD COLUMN measure TEXT NOT NULL DEFAULT 'attention'",
    "ALTER TABLE traces ADD COLUMN pulls TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE traces ADD COLUMN report_pulls TEXT NOT NULL DEFAULT '{}'",
)
"""How the shares were measured, and what picture, reports and words did to the label's log-odds, as JSON. Migration 9."""

NOT_PASSED = (
    "CREATE INDEX inspections_not_passed ON inspections (station, inspected_at, disposition, label, lot) WHERE disposition != 'pass'"
)
"""What the dashboard counts, without the rows themselves. Migration 7."""

REVIEWED = (
    """
CREATE TABLE reviewed (
  review_id TEXT PRIMARY KEY,
  station TEXT NOT NULL,
  inspection_id TEXT NOT NULL,
  seq INTEGER,
  camera TEXT NOT NULL,
  product TEXT NOT NULL,
  lot TEXT,
  part_id TEXT,
  captured_at TEXT NOT NULL,
  model TEXT NOT NULL,
  judged_disposition TEXT NOT NULL,
  judged_label TEXT,
  judged_confidence REAL,
  reviewer TEXT NOT NULL,
  reviewed_at TEXT NOT NULL,
  disposition TEXT NOT NULL CHECK (disposition IN ('pass', 'fail')),
  label TEXT,
  note TEXT NOT NULL,
  x_px INTEGER,
  y_px INTEGER,
  width_px INTEGER,
  height_px INTEGER,
  report_id TEXT NOT NULL,
  picture_path TEXT
)""",
    "CREATE INDEX reviewed_by_time ON reviewed (station, reviewed_at)",
    "CREATE INDEX reviewed_by_inspection ON reviewed (inspection_id, reviewed_at)",
)
"""Every review that was signed, with what it speaks of: it outlives the verdict's row and picture. Migration 8."""
