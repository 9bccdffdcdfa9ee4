"""The dashboard's unit, judged by systemd's own tools: a user of its own, that writes nowhere."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "inspector-dashboard.service"
OFFICE, ORDERS = (FOLDER / "dashboard-examples" / name for name in ("office.conf", "orders.conf"))

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture(params=[(), (OFFICE,), (OFFICE, ORDERS)], ids=["alone", "office", "orders"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    unit = Path(shutil.copy(UNIT, tmp_path))
    (tmp_path / f"{UNIT.name}.d").mkdir()
    for drop_in in request.param:
        shutil.copy(drop_in, tmp_path / f"{UNIT.name}.d")
    return unit


@needs_analyze
def test_systemd_understands_every_line_of_the_dashboards_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@needs_analyze
def test_the_dashboards_unit_is_locked_down(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_the_dashboard_has_a_user_of_its_own_and_writes_the_slips_of_reviews_alone() -> None:
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert {"User=inspector-dashboard", "SupplementaryGroups=inspector", "ProtectSystem=strict"} <= set(lines)
    writable = [line for line in lines if line.startswith(("StateDirectory=", "CacheDirectory=", "LogsDirectory=", "ReadWritePaths="))]
    assert writable == ["ReadWritePaths=-/var/lib/inspector/reviews"]
    folders = (FOLDER / "inspector.tmpfiles.conf").read_text(encoding="utf-8").splitlines()
    assert "d /var/lib/inspector/reviews 2750 inspector-dashboard inspector -" in folders
    people = (FOLDER / "inspector.sysusers.conf").read_text(encoding="utf-8").splitlines()
    assert "m inspector-dashboard inspector" in people


def test_other_machines_get_in_with_users_and_tls_alone() -> None:
    text = OFFICE.read_text(encoding="utf-8")
    assert "LoadCredential=dashboard-users:" in text
    assert "--certificate %d/" in text
    assert "--insecure" not in text


def test_orders_need_an_account_at_the_broker_whose_password_systemd_brings() -> None:
    text = ORDERS.read_text(encoding="utf-8")
    assert "LoadCredential=dashboard-broker-password:" in text
    assert "--broker-password" not in text
    assert "dashboard $OPTIONS $ORDERS $STATIONS" in UNIT.read_text(encoding="utf-8")
