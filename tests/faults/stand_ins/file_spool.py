"""Stand-in (c): one file a verdict; while connected the files go out, oldest first, and each is deleted when ``publish()`` returns."""

import os
from pathlib import Path

from paho.mqtt import client as paho

from tests.faults.stand_ins.line import Place, new_client, place, verdicts


def main() -> None:
    """Spool each verdict, then send what lies there."""
    here = place()
    spool = here.state / "spool"
    spool.mkdir(exist_ok=True)
    client = new_client(here, session_s=3600)
    for number, payload in verdicts(here):
        _put(spool / f"{number:09d}.json", payload)
        _send(client, here, spool)
    client.disconnect()
    client.loop_stop()


def _put(path: Path, payload: bytes) -> None:
    """Write a file that is whole or not there, and on the disk."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as stream:
        stream.write(payload)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)


def _send(client: paho.Client, here: Place, spool: Path) -> None:
    """Send every file, oldest first."""
    for path in sorted(spool.glob("*.json")):
        if not client.is_connected() or client.publish(here.topic, path.read_bytes(), qos=1).rc != paho.MQTT_ERR_SUCCESS:
            return
        path.unlink()


if __name__ == "__main__":
    main()
