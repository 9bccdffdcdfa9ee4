"""Dashboard and daemon killed in turn under load: a short course of ``make dashboard-kills``."""

import shutil
from pathlib import Path

import pytest

from tests.dashboard.killed import prove


def test_neither_a_killed_dashboard_nor_a_killed_daemon_leaves_a_lock_or_loses_a_row(tmp_path: Path) -> None:
    if shutil.which("mosquitto") is None and shutil.which("mosquitto", path="/usr/sbin") is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    result = prove(tmp_path, kills=4, seed=7)
    assert result.faults == []
    assert result.kills == {"daemon": 2, "dashboard": 2}
    assert result.told.statuses[200] > 0
    assert result.signed == result.signed_logged == result.signed_published > 0
    assert result.account is not None
    assert result.account.is_faultless
