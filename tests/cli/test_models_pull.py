"""``inspector models pull`` against a small hub of its own on this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.settings import ModelSection
from inspector.vlm.full_checkpoint import ORIGIN, open_full
from tests.full_kit import write_tiny_full

REPOSITORY = "openbmb/MiniCPM-V-tiny"
COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """One repository, as the hub shows it: a listing with hashes, and files in ranges."""

    def __init__(self, folder: Path) -> None:
        """Serve the files of a folder."""
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"model.py": b"import os"}
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def listing(self) -> dict[str, object]:
        """Return what the hub says of the repository."""
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": _blob(content)}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {
            "id": REPOSITORY,
            "modelId": REPOSITORY,
            "sha": COMMIT,
            "siblings": siblings,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }


class _Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def _answer(self, *, is_head: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/{REPOSITORY}"):
            self._send(json.dumps(self.server.listing()).encode(), is_head=is_head)
            return
        name = path.rpartition("/")[2]
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        etag = hashlib.sha256(content).hexdigest() if name.endswith(".safetensors") else _blob(content)
        if name in self.server.broken:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if not is_head:
            self.server.asked.append((name, self.headers.get("Range", "")))
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0]) if not is_head else 0
        self._send(content[start:], is_head=is_head, etag=etag, status=206 if start else 200)

    def _send(self, content: bytes, *, is_head: bool, etag: str = "", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not is_head:
            self.wfile.write(content)


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    server = Hub(write_tiny_full(tmp_path / "source"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def pull(root: Path, hub: Hub, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "models", "pull", REPOSITORY, "--endpoint", hub.url, *arguments])


def test_a_pulled_model_is_pinned_verified_and_usable(tmp_path: Path, hub: Hub) -> None:
    done = pull(tmp_path, hub)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "models" / REPOSITORY
    assert f"commit {COMMIT[:12]}, hashes right" in done.stdout
    assert f'checkpoint = "{REPOSITORY}"' in done.stdout
    assert f'commit = "{COMMIT}"' in (folder / ORIGIN).read_text(encoding="utf-8")
    assert not (folder / "model.py").exists(), "code is never fetched"
    assert open_full(folder, ModelSection()).is_verified
    hub.asked.clear()
    assert pull(tmp_path, hub).exit_code == 0
    assert hub.asked == [], "what lies there is not fetched again"


def test_a_file_that_is_not_what_the_hub_lists_is_removed_and_told(tmp_path: Path, hub: Hub) -> None:
    hub.broken = {"model.safetensors"}
    done = pull(tmp_path, hub)
    assert done.exit_code == 1
    assert "model.safetensors: hash" in done.stderr
    assert not (tmp_path / "models" / REPOSITORY / "model.safetensors").exists()
    hub.broken = set()
    assert pull(tmp_path, hub).exit_code == 0


def test_another_kind_of_model_is_refused_before_its_weights_are_fetched(tmp_path: Path, hub: Hub) -> None:
    hub.files["config.json"] = b'{"model_type": "llava"}'
    done = pull(tmp_path, hub)
    assert done.exit_code == 1
    assert "model_type is 'llava', this version reads minicpmv4_6, minicpmv4_7" in done.stderr
    assert [name for name, _ in hub.asked] == ["config.json"]


def test_without_a_network_it_says_what_to_copy_where(tmp_path: Path) -> None:
    arguments = ["--root", str(tmp_path), "models", "pull", "openbmb/MiniCPM-V-4.6", "--endpoint", "http://127.0.0.1:1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    for expected in (
        "hf download openbmb/MiniCPM-V-4.6 --revision main",
        str(tmp_path / "models" / "openbmb" / "MiniCPM-V-4.6"),
        "chat_template.jinja",
    ):
        assert expected in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("name", ["MiniCPM-V-4.6", "../x", "a/b/c", "/etc"])
def test_a_name_that_is_no_repository_is_refused(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(main, ["--root", str(tmp_path), "models", "pull", name])
    assert done.exit_code == 2
    assert "expected OWNER/MODEL" in done.stderr
