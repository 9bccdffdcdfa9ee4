"""A browser without a screen inside the booted machine: what the dashboard's unit answers, as one JSON object on standard output.

Arguments: port, station, and perhaps a WAV file with a spoken question. Standard library alone.
"""

import json
import re
import sys
import threading
from pathlib import Path

from tests.dashboard.board_visits import Reader, Told

_SEPARATOR = "inspector-probe"


def main(port: int, station: str, sound: Path | None) -> None:
    """Visit, sign a review, ask the assistant; print what came back."""
    reader = Reader(port, Told(), threading.Event())
    found: dict[str, object] = {"without a login": reader.ask("GET", "/")[0]}
    reader.log_in()
    found["wall"] = reader.ask("GET", "/")[0]
    _, page, _ = reader.ask("GET", "/-/defects?hours=0")
    found["judged"] = int(next(iter(re.findall(r"([\d,]+) judged", page)), "0").replace(",", ""))
    found["health"] = re.findall(r'class="state (\w+)"', reader.ask("GET", "/-/health")[1])
    _, page, _ = reader.ask("GET", f"/{station}/inspections.json?_shape=array&_sort_desc=seq&_size=1&image_path__notblank=1")
    row = json.loads(page)[0]
    path = f"/-/picture/{station}/{row['inspection_id']}/picture"
    found["picture"] = reader.ask("GET", path)[0]
    found["review"] = reader.ask("POST", f"/-/review/{station}/{row['inspection_id']}", {"label": "scale", "note": "under systemd"})[0]
    found["asked"] = _answer(reader, station, text="how is the station")
    found["judged anew"] = _answer(reader, station, picture="1", part=row["inspection_id"])
    found["heard"] = _answer(reader, station, sound) if sound else None
    print(json.dumps(found))  # noqa: T201 - what it is for


def _answer(reader: Reader, station: str, sound: Path | None = None, **fields: str) -> object:
    """Ask the assistant as its panel does; return the answer's fields of interest, or the error."""
    import http.client  # noqa: PLC0415 - beside its use

    fields = {"csrftoken": reader.cookies.get("ds_csrftoken", ""), "station": station, **fields}
    parts = [f'--{_SEPARATOR}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
    if sound is not None:
        head = f'--{_SEPARATOR}\r\nContent-Disposition: form-data; name="sound"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        parts.append(head.encode() + sound.read_bytes() + b"\r\n")
    body = b"".join(parts) + f"--{_SEPARATOR}--\r\n".encode()
    cookie = "; ".join(f"{key}={value}" for key, value in reader.cookies.items())
    headers = {"accept": "application/json", "cookie": cookie, "content-type": f"multipart/form-data; boundary={_SEPARATOR}"}
    connection = http.client.HTTPConnection("127.0.0.1", reader.port, timeout=60)
    try:
        connection.request("POST", "/-/assist", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        return " ".join(re.sub(r"<[^>]+>", " ", text.partition("<main>")[2] or text).split())[:300]
    told = json.loads(text)
    return {key: told[key] for key in ("kind", "transcript", "picture", "answer")}


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
