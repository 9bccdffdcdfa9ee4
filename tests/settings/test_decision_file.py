"""decision.toml after a fit: the product's table anew, everything else letter for letter."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.decision_calibration import DecisionCalibration
from inspector.errors import CalibrationError
from inspector.settings import read_decisions
from inspector.settings.decision_file import with_table, write_decision

FIT = DecisionCalibration(1.25, 0.9371, 0.61, 400, 0.01, 0.02, datetime(2026, 11, 24, 9, tzinfo=UTC), 0.9, 240, 0.05, 0.01, 'edge "x"@a\\b')
OTHERS = """# Fitted in March.

[plate] # the thick one
temperature = 2.0   # by hand

# What stands here belongs to the strip.
["strip.wide"]
pass_above = 0.8
"""


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write_decision(tmp_path, "screw", FIT, ["promise: at most 1 of 100", "seen on: 400 pictures"])
    assert read_decisions(tmp_path) == {"screw": FIT}
    assert path.read_text().splitlines()[:3] == ["[screw]", "# promise: at most 1 of 100", "# seen on: 400 pictures"]


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    path = write_decision(tmp_path, "screw", DecisionCalibration(fitted_on=3))
    assert path.read_text() == "[screw]\ntemperature = 1.0\npass_above = 0.9\nfail_above = 0.6\nfitted_on = 3\n\n"


@pytest.mark.parametrize("product", ["screw", "plate", "strip.wide"])
def test_the_other_tables_keep_every_letter(tmp_path: Path, product: str) -> None:
    path = tmp_path / "decision.toml"
    path.write_text(OTHERS)
    for _ in range(2):
        write_decision(tmp_path, product, FIT, ["first"])
    text, found = path.read_text(), read_decisions(tmp_path)
    assert found[product] == FIT
    assert text.count("# first") == 1
    assert list(found) == ["plate", "strip.wide"] + (["screw"] if product == "screw" else [])
    kept = OTHERS.splitlines()
    own = {"screw": [], "plate": kept[2:4], "strip.wide": kept[6:]}[product]
    assert all(line in text for line in kept if line not in own)


@given(st.lists(st.sampled_from(["a", "b", "c.d"]), max_size=8))
def test_any_order_of_fits_leaves_one_table_a_product(products: list[str]) -> None:
    text = ""
    for product in products:
        key = f'"{product}"' if "." in product else product
        text = with_table(text, product, f"[{key}]\n# story\nfitted_on = 1\n\n")
    assert sorted(line for line in text.splitlines() if line.startswith("[")) == sorted(
        {f'["{p}"]' if "." in p else f"[{p}]" for p in products}
    )


def test_a_file_that_cannot_be_understood_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "decision.toml"
    for text, message in (("[plate]\npass_over = 1\n", "did you mean 'pass_above'"), ("screw.temperature = 2.0\n", r"its own|of its own")):
        path.write_text(text)
        with pytest.raises(CalibrationError, match=message):
            write_decision(tmp_path, "screw", FIT)
        assert path.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["decision.toml"]


def test_the_file_keeps_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "decision.toml"
    path.write_text(OTHERS)
    path.chmod(0o640)
    write_decision(tmp_path, "screw", FIT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["decision.toml"]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"cannot be written \(No such file"):
        write_decision(tmp_path / "gone", "screw", FIT)
