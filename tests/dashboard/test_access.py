"""Who sees what: no page, picture or export without a login; nothing that comes in is carried out."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from inspector.core.report import Report
from inspector.dashboard.serving import Address, is_loopback
from inspector.dashboard.users import Users, read_users, set_password, users_file
from inspector.edge.instants import now
from inspector.edge.log import database_path
from inspector.errors import DashboardError
from inspector.settings import StationSettings
from tests.dashboard.conftest import PASSWORD, Browser
from tests.dashboard.kit import write_report

PAGES = [
    "/",
    "/-/events",
    "/-/assist",
    "/-/defects",
    "/-/reviews",
    "/-/reports",
    "/-/health",
    "/-/defects?format=csv",
    "/-/reviews?format=json",
]
OF_DATASETTE = ["/s1", "/s1/inspections", "/s1/inspections.csv", "/s1/inspections.json?_shape=array", "/s1/latest.json", "/s1.db"]
ABOUT_ITSELF = ["/-/metadata.json", "/-/settings.json", "/-/plugins.json", "/-/databases.json", "/-/password-tool", "/_internal"]
BASIC = {"authorization": "Basic bWVpOmNvcnJlY3QgaG9yc2UgNw=="}
WRITES = ["delete from inspections", "attach database '/etc/passwd' as x", "drop table inspections", "pragma writable_schema=1"]
ELSEWHERE = ["../../secret.jpg", "images/../../../secret.jpg", "images/link.jpg", "images", "inspector.db", "\0", "/"]


def first(settings: StationSettings, root: Path) -> str:
    connection = sqlite3.connect(database_path(settings, root))
    found = connection.execute("SELECT inspection_id FROM inspections WHERE image_path IS NOT NULL LIMIT 1").fetchone()[0]
    connection.close()
    return str(found)


@pytest.mark.parametrize("path", PAGES + OF_DATASETTE + ABOUT_ITSELF)
def test_without_a_login_there_is_no_page_and_no_export(site: Any, path: str) -> None:
    for headers in ({}, {"accept": "application/json"}, BASIC, {"cookie": "ds_actor=forged"}):
        answer = Browser(site).get(path, headers=headers)
        assert answer.status_code in {302, 403, 404}
        assert answer.status_code != 302 or answer.headers["location"] == "/-/login"
        assert "scale" not in answer.text


def test_without_a_login_there_is_no_picture(site: Any, station: StationSettings, tmp_path: Path) -> None:
    name = first(station, tmp_path)
    for path in (f"/-/picture/s1/{name}/picture", f"/-/why/s1/{name}", f"/-/trace/s1/{name}", f"/assets/../-/picture/s1/{name}/picture"):
        assert Browser(site).get(path, headers={"accept": "image/*"}).status_code in {403, 404}


def test_a_user_logs_in_and_looks_and_is_out_after_logging_out(site: Any, station: StationSettings, tmp_path: Path) -> None:
    browser = Browser(site)
    assert browser.log_in("mei", "wrong").status_code == 200
    assert browser.get("/").status_code == 302
    answer = browser.log_in("mei")
    assert answer.status_code == 302
    assert "HttpOnly" in next(value for value in answer.headers.get_list("set-cookie") if value.startswith("ds_actor"))
    assert all(browser.get(path).status_code == 200 for path in PAGES if path != "/-/events")
    assert browser.get(f"/-/picture/s1/{first(station, tmp_path)}/picture").headers["content-type"] == "image/jpeg"
    assert browser.post("/-/logout", csrftoken=browser.token).status_code == 302
    assert browser.get("/").status_code == 302


def test_over_tls_the_login_never_travels_in_the_clear(site: Any) -> None:
    answer = Browser(site, base="https://127.0.0.1").log_in("mei")
    assert all("Secure" in value for value in answer.headers.get_list("set-cookie"))


def test_passwords_cannot_be_tried_for_long(site: Any) -> None:
    browser = Browser(site)
    answers = [browser.log_in("mei", f"guess {n}").status_code for n in range(12)]
    assert answers[:10] == [200] * 10
    assert set(answers[10:]) == {429}


def test_questions_of_ones_own_are_for_those_who_may(site: Any) -> None:
    for name, status in (("guest", 403), ("mei", 403), ("boss", 200)):
        browser = Browser(site)
        browser.log_in(name)
        assert browser.get("/s1?sql=select+count(*)+from+inspections").status_code == status
        assert browser.get("/s1/inspections?_where=1=1").status_code == status
        assert browser.get("/s1/inspections").status_code == 200


@pytest.mark.parametrize("sql", WRITES)
def test_not_even_who_may_ask_can_write(site: Any, station: StationSettings, tmp_path: Path, sql: str) -> None:
    browser = Browser(site)
    browser.log_in("boss")
    assert browser.get("/s1", params={"sql": sql}).status_code == 400
    connection = sqlite3.connect(database_path(station, tmp_path))
    assert connection.execute("SELECT count(*) FROM inspections").fetchone()[0] == 12
    connection.close()


@pytest.mark.parametrize("path", ABOUT_ITSELF)
def test_password_hashes_and_secrets_are_not_shown_to_anybody(site: Any, path: str) -> None:
    browser = Browser(site)
    browser.log_in("boss")
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "pbkdf2" not in answer.text


def test_without_users_only_this_machine_looks_and_only_under_its_own_name(open_site: Any) -> None:
    assert Browser(open_site).get("/").status_code == 200
    assert Browser(open_site, base="http://localhost:8101").get("/-/defects").status_code == 200
    assert Browser(open_site, base="http://evil.example").get("/").status_code == 403
    assert Browser(open_site).get("/", headers={"x-forwarded-for": "198.51.100.3"}).status_code == 403


def test_other_machines_are_served_with_users_and_tls_alone(users: Users, tmp_path: Path) -> None:
    Address().check(None)
    for host in ("::", "192.0.2.1", "board.plant"):
        with pytest.raises(DashboardError, match="--users"):
            Address(host).check(None)
        with pytest.raises(DashboardError, match="--certificate"):
            Address(host).check(users)
        Address(host, is_plain=True).check(users)
        Address(host, certificate=tmp_path / "c.pem", key=tmp_path / "k.pem").check(users)
    with pytest.raises(DashboardError, match="belong together"):
        Address(certificate=tmp_path / "c.pem").check(users)
    assert all(is_loopback(host) for host in ("127.0.0.2", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("10.0.0.1", "localhost.evil.example"))


def test_a_picture_outside_the_logs_folder_is_never_handed_out(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    log, name = database_path(station, tmp_path), first(station, tmp_path)
    (log.parent / "images" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    for path in (*ELSEWHERE, str(tmp_path / "secret.jpg")):
        connection = sqlite3.connect(log)
        connection.execute("UPDATE inspections SET image_path = ? WHERE inspection_id = ?", (path, name))
        connection.commit()
        connection.close()
        answer = browser.get(f"/-/picture/s1/{name}/picture")
        assert answer.status_code == 404
        assert b"secret" not in answer.content
    for path in (f"s1/../{name}/picture", "s1/..%2f..%2fsecret/picture", f"s1/{name}/..%2fpicture", "../../assets/..%2fplugin.py"):
        assert browser.get(f"/-/picture/{path}").status_code in {302, 404}


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%", "_", "\\", '"; DROP TABLE reports; --', "x' UNION SELECT password FROM users --"])
def test_a_search_text_is_only_ever_a_text(browser: Browser, station: StationSettings, tmp_path: Path, text: str) -> None:
    write_report(database_path(station, tmp_path), Report("QC-1", now(), "screw", "pit on the flank"))
    answer = browser.get("/-/reports", params={"q": text, "format": "json"})
    assert answer.json() == []
    for page in ("/-/defects", "/-/reviews", "/-/health", "/-/assist"):
        assert browser.get(page, params={"station": text}).status_code == 404
        assert browser.get(page, params={"by": text, "hours": text}).status_code == 200
    assert len(browser.get("/-/reports", params={"q": "pit", "format": "json"}).json()) == 1


def test_html_in_a_report_stays_text_and_no_script_of_a_page_could_run(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    write_report(database_path(station, tmp_path), Report("QC-1", now(), "screw", evil, lot=evil, label=evil))
    for path in ("/-/reports", "/-/reports?q=%3Cscript%3E", f"/-/why/s1/{first(station, tmp_path)}", "/s1/reports"):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "&lt;script&gt;alert" in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        if path.startswith("/-/"):
            assert "script-src 'self';" in answer.headers["content-security-policy"]
            assert not re.findall(r"<script(?![^>]*(?:src=|application/json))|<[^>]*\s(?:on\w+|style)=", answer.text)


def test_a_spreadsheet_carries_nothing_out(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    write_report(database_path(station, tmp_path), Report("QC-1", now(), "screw", '=HYPERLINK("http://evil.example")'))
    assert "'=HYPERLINK" in browser.get("/-/reports?format=csv").text


def test_the_users_file_is_written_by_a_command_and_read_with_every_mistake(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    set_password(path, "mei", PASSWORD, ("review",))
    set_password(path, "boss", PASSWORD, ("review", "sql"))
    set_password(path, "mei", PASSWORD + "!", ())
    assert path.stat().st_mode & 0o777 == 0o600
    found = read_users(path)
    assert dict(found.rights) == {"mei": (), "boss": ("review", "sql")}
    assert found.with_right("sql") == ["boss"]
    with pytest.raises(DashboardError, match="at least 10"):
        set_password(path, "li", "short", ())
    path.write_text('[users."a b"]\npassword = "x"\n[users.c]\npassword = "plain"\nmay = ["everything"]\nage = 3\n')
    path.chmod(0o600)
    with pytest.raises(DashboardError) as caught:
        read_users(path)
    assert all(word in str(caught.value) for word in ("users.a b", "is no hash", "review, sql", "users.c.age"))
    path.chmod(0o644)
    with pytest.raises(DashboardError, match="chmod 640"):
        read_users(path)


def test_a_changed_password_ends_every_login(users: Users) -> None:
    changed = Users({**users.hashes, "mei": users.hashes["mei"] + "x"}, users.rights)
    assert len({users.secret, changed.secret, Users(users.hashes, {**users.rights, "mei": ()}).secret}) == 3


def test_systemd_may_bring_the_users(tmp_path: Path) -> None:
    assert users_file(None, {}) is None
    assert users_file(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None
    (tmp_path / "dashboard-users").touch()
    assert users_file(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == tmp_path / "dashboard-users"
    assert users_file(tmp_path / "mine", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == tmp_path / "mine"
