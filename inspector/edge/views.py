"""The views: the operators' public interface to the log, documented in ``docs/log.md``.

A view's name and columns are never changed or removed; new columns go to the end. A changed view is a new migration.
"""

from collections.abc import Mapping


def views() -> Mapping[str, str]:
    """Return the query behind each view, by name, in the order of their creation."""
    return {
        "latest": _LATEST,
        "defects_by_hour": _DEFECTS_BY_HOUR,
        "open_reviews": _OPEN_REVIEWS,
        "latency_by_day": _LATENCY_BY_DAY,
        "reports_used": _REPORTS_USED,
    }


_LATEST = """
SELECT i.station, i.camera, i.seq, i.inspected_at, i.product, i.lot, i.part_id, i.disposition, i.evaluation, i.label, i.confidence,
       i.reason, i.frame_age_ms, i.total_ms, i.published_at, i.is_simulated, i.image_path, i.inspection_id
FROM inspections AS i
JOIN (SELECT station, camera, max(seq) AS seq FROM inspections GROUP BY station, camera) AS newest
  ON i.station = newest.station AND i.seq = newest.seq
"""

_DEFECTS_BY_HOUR = """
SELECT substr(i.inspected_at, 1, 13) || ':00Z' AS hour, i.station, i.product, f.label,
       count(*) AS defects, count(DISTINCT i.inspection_id) AS failed_inspections, avg(f.confidence) AS mean_confidence, i.is_simulated
FROM findings AS f JOIN inspections AS i ON i.inspection_id = f.inspection_id
WHERE f.disposition = 'fail'
GROUP BY hour, i.station, i.product, f.label, i.is_simulated
"""

_OPEN_REVIEWS = """
SELECT i.inspected_at, i.station, i.camera, i.seq, i.product, i.lot, i.part_id, i.label, i.confidence, i.reason, i.is_fault, i.image_path,
       i.source, i.is_simulated, i.inspection_id
FROM inspections AS i
WHERE i.disposition = 'review' AND NOT EXISTS (SELECT 1 FROM reviews AS r WHERE r.inspection_id = i.inspection_id)
"""

# A percentile is the smallest time that at least that share of the day's inspections does not exceed (nearest rank).
_LATENCY_BY_DAY = """
SELECT day, station, count(*) AS inspections,
       min(CASE WHEN place * 100 >= size * 50 THEN total_ms END) AS p50_ms,
       min(CASE WHEN place * 100 >= size * 95 THEN total_ms END) AS p95_ms,
       min(CASE WHEN place * 100 >= size * 99 THEN total_ms END) AS p99_ms,
       max(total_ms) AS max_ms,
       min(CASE WHEN age_place * 100 >= size * 99 THEN frame_age_ms END) AS p99_frame_age_ms,
       is_simulated
FROM (
  SELECT substr(inspected_at, 1, 10) AS day, station, total_ms, frame_age_ms, is_simulated,
         row_number() OVER (PARTITION BY substr(inspected_at, 1, 10), station, is_simulated ORDER BY total_ms) AS place,
         row_number() OVER (PARTITION BY substr(inspected_at, 1, 10), station, is_simulated ORDER BY frame_age_ms) AS age_place,
         count(*) OVER (PARTITION BY substr(inspected_at, 1, 10), station, is_simulated) AS size
  FROM inspections
  WHERE total_ms IS NOT NULL AND is_fault = 0
)
GROUP BY day, station, is_simulated
"""

_REPORTS_USED = """
SELECT used.value AS report_id, i.station, count(*) AS inspections, sum(i.disposition = 'pass') AS passes,
       sum(i.disposition = 'fail') AS fails, sum(i.disposition = 'review') AS reviews,
       min(i.inspected_at) AS first_used_at, max(i.inspected_at) AS last_used_at,
       r.written_at, r.product, r.lot, r.label, r.text
FROM inspections AS i
JOIN json_each(i.report_ids) AS used
LEFT JOIN reports AS r ON r.report_id = used.value
GROUP BY used.value, i.station
"""
