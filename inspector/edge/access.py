"""Access to the broker: the password and the TLS keys, checked before the first connection. Raises ``PublishError``."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inspector.errors import PublishError
from inspector.settings import MqttSection


@dataclass(frozen=True, slots=True)
class Access:
    """What the broker is shown."""

    username: str | None = None
    """User name, or None for an anonymous connection."""
    password: str | None = field(default=None, repr=False)
    """Password, or None."""
    tls: ssl.SSLContext | None = None
    """TLS settings, or None for plain MQTT."""


def read_access(mqtt: MqttSection, base: Path, environ: Mapping[str, str] | None = None) -> Access:
    """Read password and keys; relative paths are taken from ``base``.

    The password comes from ``password_file``, else from the systemd credential ``mqtt-password``.
    """
    if mqtt.username is None:
        return Access(tls=_tls(mqtt, base))
    return Access(mqtt.username, _password(mqtt, base, os.environ if environ is None else environ), _tls(mqtt, base))


def read_password(path: Path, key: str) -> str:
    """Return the password in a file that no other user may read; ``key`` is what named it. Raises ``PublishError``."""
    _check_private(path, key)
    return _read(path, key)


def read_credential(path: Path) -> str:
    """Return the password in a systemd credential, which systemd keeps from others. Raises ``PublishError``."""
    return _read(path, f"the systemd credential {path.name}")


def _password(mqtt: MqttSection, base: Path, environ: Mapping[str, str]) -> str | None:
    """Return the password, or None if none is set."""
    if mqtt.password_file is not None:
        return read_password(base / mqtt.password_file, "mqtt.password_file")
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(credentials or "") / "mqtt-password"
    return read_credential(path) if credentials and _is_there(path) else None


def _is_there(path: Path) -> bool:
    """Return whether a file exists or may do so: a folder that is closed to us is told when the file is read."""
    try:
        return path.exists()
    except PermissionError:
        return True


def _check_private(path: Path, key: str) -> None:
    """Refuse a secret that other users may read."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise PublishError(f"{path}: cannot be read ({error.strerror}); {key} must name an existing file") from error
    if mode & 0o077:
        raise PublishError(f"{path}: mode {mode:04o} lets other users read it; {key} must have mode 0600: chmod 600 {path}")


def _read(path: Path, key: str) -> str:
    """Return the first line of a secret."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PublishError(f"{path}: cannot be read ({error}); {key} must hold the password as one line of UTF-8") from error
    if not lines or not lines[0]:
        raise PublishError(f"{path}: is empty; {key} must hold the password as its first line")
    return lines[0]


def _tls(mqtt: MqttSection, base: Path) -> ssl.SSLContext | None:
    """Return the TLS settings, or None if ``ca_file`` is not set."""
    if mqtt.ca_file is None:
        return None
    path = base / mqtt.ca_file
    try:
        context = ssl.create_default_context(cafile=str(path))
        if mqtt.cert_file is not None and mqtt.key_file is not None:
            path = base / mqtt.cert_file
            _check_private(base / mqtt.key_file, "mqtt.key_file")
            context.load_cert_chain(path, base / mqtt.key_file)
    except (OSError, ssl.SSLError) as error:
        raise PublishError(
            f"{path}: cannot be used for TLS ({error}); mqtt.ca_file, cert_file and key_file must be PEM files that fit together"
        ) from error
    return context
