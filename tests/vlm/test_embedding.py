"""The packed embedding table: what is packed comes back, whatever is no table of the model's width is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inspector.errors import CheckpointError
from inspector.training.grids import Width, round_to_grid
from inspector.vlm.embedding import pack, read_table


def test_packed_rows_come_back_as_what_they_stand_for(tmp_path: Path) -> None:
    table = torch.randn(1500, 128, generator=torch.Generator().manual_seed(2)) * 0.1
    grid = round_to_grid(table, Width(4, 32))
    np.save(tmp_path / "packed.npy", pack(grid.levels, grid.scales, grid.zeros))
    found = read_table(tmp_path / "packed.npy", 128)
    assert found.shape == (1500, 128)
    assert found.dtype == np.float16
    assert found.astype(np.float32) == pytest.approx(grid.matrix(), abs=1e-3)
    assert np.abs(found - table.numpy()).max() > 1e-3, "rounding must show"
    assert (tmp_path / "packed.npy").stat().st_size < 1500 * 128 * 2 / 3


def test_a_table_of_float16_is_mapped_from_its_file(tmp_path: Path) -> None:
    table = np.arange(12, dtype=np.float16).reshape(3, 4)
    np.save(tmp_path / "plain.npy", table)
    assert np.array_equal(read_table(tmp_path / "plain.npy", 4), table)


@pytest.mark.parametrize("stored", [np.zeros((3, 8), np.float16), np.zeros((3, 20), np.uint8), np.zeros((3, 128), np.float32)])
def test_a_table_of_another_width_is_refused_by_name(tmp_path: Path, stored: np.ndarray) -> None:
    np.save(tmp_path / "odd.npy", stored)
    with pytest.raises(CheckpointError, match=r"odd\.npy: .* is no embedding table of width 128"):
        read_table(tmp_path / "odd.npy", 128)
