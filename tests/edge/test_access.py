import gc
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.core.inspection import Inspection
from inspector.edge.access import read_access
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.publisher import Publisher
from inspector.edge.topics import Topics
from inspector.errors import PublishError
from inspector.settings import MqttSection


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_without_a_user_name_the_connection_is_anonymous_and_plain(tmp_path: Path) -> None:
    access = read_access(MqttSection(), tmp_path, {})
    assert (access.username, access.password, access.tls) == (None, None, None)


def test_the_password_is_the_first_line_of_its_file_and_is_never_shown(tmp_path: Path) -> None:
    secret(tmp_path / "pw", "geheim ß\nsecond line\n")
    access = read_access(MqttSection(username="cell-3", password_file=Path("pw")), tmp_path, {})
    assert access.password == "geheim ß"
    assert "geheim" not in repr(access)


def test_the_password_comes_from_systemds_credential_if_no_file_is_set(tmp_path: Path) -> None:
    secret(tmp_path / "mqtt-password", "s3cret\n", 0o440)
    assert read_access(MqttSection(username="u"), tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).password == "s3cret"
    assert read_access(MqttSection(username="u"), tmp_path, {}).password is None


def test_a_credential_that_may_not_be_read_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may enter every folder
    try:
        with pytest.raises(PublishError, match=r"mqtt-password: cannot be read .*Permission denied"):
            read_access(MqttSection(username="u"), tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path / "closed")})
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [("pw\n", 0o644, r"mode 0644 lets other users read it.*chmod 600"), ("", 0o600, "is empty"), ("\n", 0o600, "is empty")],
)
def test_a_password_file_that_others_can_read_or_that_is_empty_is_refused(tmp_path: Path, text: str, mode: int, told: str) -> None:
    secret(tmp_path / "pw", text, mode)
    with pytest.raises(PublishError, match=told):
        read_access(MqttSection(username="u", password_file=Path("pw")), tmp_path, {})


def test_a_missing_password_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"nowhere: cannot be read.*mqtt\.password_file"):
        read_access(MqttSection(username="u", password_file=Path("nowhere")), tmp_path, {})


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_missing_or_broken_certificate_authority_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(PublishError, match=r"ca\.pem: cannot be used for TLS"):
        read_access(MqttSection(ca_file=Path("ca.pem")), tmp_path, {})


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Return a folder with an authority's and a broker's certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    new_key = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    extra = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE"]
    for name in ("broker", "stranger"):
        files = ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]
        subprocess.run([*new_key, *extra, *files], check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def tls_broker(broker: Any, certificates: Path) -> Any:
    password = certificates / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(password), "cell-3", "s3cret"], check=True, capture_output=True)
    broker.acl.write_text("user cell-3\ntopic readwrite #\n")
    broker.extra = f"certfile {certificates}/broker.pem\nkeyfile {certificates}/broker.key\npassword_file {password}\n"
    broker.start()
    return broker


def test_results_reach_a_broker_through_tls_with_a_password(
    tls_broker: Any, certificates: Path, topics: Topics, make_inspection: Callable[..., Inspection]
) -> None:
    secret(certificates / "pw", "s3cret\n")
    mqtt = MqttSection(port=tls_broker.port, username="cell-3", password_file=Path("pw"), ca_file=Path("broker.pem"))
    publisher = Publisher(mqtt, topics, certificates / "log.db", {}, base=certificates)
    publisher.start()
    with Log(certificates / "log.db", "cell-3") as log:
        for number in range(50):
            log.append(make_inspection(number), lambda inspection: result_message(inspection, topics))
            publisher.wake()
    assert publisher.drain(10), publisher.error
    publisher.stop()


# paho leaves the socket of a failed TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_with_a_strangers_certificate_gets_nothing(tls_broker: Any, certificates: Path, topics: Topics) -> None:
    publisher = Publisher(
        MqttSection(port=tls_broker.port, ca_file=Path("stranger.pem")), topics, certificates / "log.db", {}, base=certificates
    )
    publisher.start()
    while publisher.error is None:
        assert publisher.alive
        time.sleep(0.01)
    publisher.stop()
    gc.collect()
    assert "certificate verify failed" in str(publisher.error).lower()


def test_a_key_file_that_others_can_read_is_refused(certificates: Path) -> None:
    (certificates / "broker.key").chmod(0o644)
    names: dict[str, Any] = {"ca_file": Path("broker.pem"), "cert_file": Path("broker.pem"), "key_file": Path("broker.key")}
    with pytest.raises(PublishError, match=r"mode 0644 lets other users read it"):
        read_access(MqttSection(**names), certificates, {})
    (certificates / "broker.key").chmod(0o600)
    assert isinstance(read_access(MqttSection(**names), certificates, {}).tls, ssl.SSLContext)
