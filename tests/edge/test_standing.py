"""What a verdict stands under goes with it: into the log, out to subscribers, through an update of an older log."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.inspection import Inspection
from inspector.edge import schema
from inspector.edge.json_schemas import schema_folder
from inspector.edge.log import Log
from inspector.edge.payload import ResultPayload
from inspector.edge.rows import to_row

Make = Callable[..., Inspection]
FIT = DecisionCalibration(1.2, 0.9999999, 0.7, 400, 0.01, 0.02, datetime(2026, 11, 24, 9, tzinfo=UTC), 0.9, 240, 0.05, 0.01, "edge@abc")
RULES = json.loads((schema_folder() / "result.schema.json").read_text(encoding="utf-8"))


def test_a_result_tells_thresholds_and_promise_and_keeps_every_digit_of_a_threshold(make_inspection: Make) -> None:
    told = json.loads(ResultPayload.of(make_inspection(calibration=FIT)).to_json())
    jsonschema.validate(told, RULES)
    assert told["calibration"] == {
        "target_escape": 0.01,
        "confidence": 0.9,
        "groups": 240,
        "pass_above": 0.9999999,
        "fail_above": 0.7,
        "fitted_on": 400,
        "calibrated_at": "2026-11-24T09:00:00.000Z",
    }


def test_a_result_without_a_promise_says_null(make_inspection: Make) -> None:
    told = json.loads(ResultPayload.of(make_inspection(calibration=FIT.without_promise())).to_json())
    jsonschema.validate(told, RULES)
    assert (told["calibration"]["target_escape"], told["calibration"]["confidence"]) == (None, None)
    unfitted = json.loads(ResultPayload.of(make_inspection()).to_json())
    jsonschema.validate(unfitted, RULES)
    assert unfitted["calibration"] is None


def test_subscribers_that_validate_results_of_the_last_version_are_not_told_wrong(make_inspection: Make) -> None:
    old = json.loads(ResultPayload.of(make_inspection()).to_json())
    del old["calibration"]
    jsonschema.validate(old, RULES)


@pytest.mark.parametrize("calibration", [FIT, FIT.without_promise(), DecisionCalibration(fitted_on=3), None])
def test_the_log_gives_it_back_as_it_was(tmp_path: Path, make_inspection: Make, calibration: DecisionCalibration | None) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        wrote = log.append(make_inspection(calibration=calibration))
        assert log.get(wrote.inspection_id) == wrote


def test_a_log_of_the_last_version_is_brought_up_to_date_with_its_rows(
    tmp_path: Path, make_inspection: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = schema.migrations()
    before = next(migration.number for migration in shipped if "calibration" in "".join(migration.statements)) - 1
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda: shipped[:before])
        database = schema.open_database(tmp_path / "log.db")
        old = make_inspection(seq=1)
        columns = {column.name for column in database.table("inspections").columns}
        row = {name: value for name, value in to_row(old).items() if name in columns}
        database.table("inspections").insert(row)
        database.close()
    with Log(tmp_path / "log.db", "cell-3") as log:
        assert log.get(old.inspection_id) == old
