"""``inspector models pull``: fetch a full MiniCPM-V from the hub, pinned to a commit and checked by hash; goes on where it was stopped."""

import hashlib
import json
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.errors import CheckpointError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

_WANTED = ("*.json", "*.jinja", "*.safetensors", "*.txt", "README.md", "LICENSE*")
"""What a station needs of a repository; other files (code, other formats) are never fetched."""


@click.command
@click.argument("name")
@click.option("--revision", help="Branch, tag or commit. Default: the commit that lies there already, else main.")
@click.option("--endpoint", metavar="URL", help="A mirror of the hub. Default: the variable HF_ENDPOINT, else huggingface.co.")
@click.pass_obj
def pull(root: Path, name: str, revision: str | None, endpoint: str | None) -> None:
    """Fetch NAME, such as openbmb/MiniCPM-V-4.6, into models/NAME.

    The commit and the hash of every file are written to origin.toml beside them; check and run hold the files against it. A download
    that was stopped goes on where it was. Without a network it says what to copy where.
    """
    owner, sign, model = name.partition("/")
    if not (sign and owner.strip(".") and model.strip(".")) or "/" in model:
        raise click.BadParameter(f"{name!r}: expected OWNER/MODEL, such as openbmb/MiniCPM-V-4.6", param_hint="NAME")
    folder = root / "models" / name
    wanted = revision or _commit_of(folder) or "main"
    try:
        commit = fetch(name, folder, wanted, endpoint)
    except CheckpointError:
        raise
    except Exception as error:  # the hub's client raises the errors of whichever HTTP library it stands on
        raise CheckpointError(_without_hub(name, folder, wanted, error)) from error
    click.echo(f"{folder}: commit {commit[:12]}, hashes right; in station.toml: [model] checkpoint = {json.dumps(name)}")


def fetch(name: str, folder: Path, revision: str, endpoint: str | None = None) -> str:
    """Bring a folder to a revision of a repository; return the commit.

    Raises ``CheckpointError`` if it is no MiniCPM-V, a hash is wrong or the disk is too small, and the client's own errors if the hub
    cannot be reached.
    """
    from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415 - quick --help

    from inspector.vlm.checkpoint import sha256  # noqa: PLC0415 - as above
    from inspector.vlm.full_checkpoint import MODEL_TYPES, verify_full, write_origin  # noqa: PLC0415 - as above

    found = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True)
    commit = str(found.sha)
    files = {f.rfilename: f for f in found.siblings or [] if any(fnmatch(f.rfilename, pattern) for pattern in _WANTED)}
    if "config.json" not in files:
        raise CheckpointError(f"{name}: has no config.json at {revision}; expected a repository such as openbmb/MiniCPM-V-4.6")

    def bring(file: str) -> Path:
        return Path(hf_hub_download(name, file, revision=commit, local_dir=folder, endpoint=endpoint))

    model_type = json.loads(bring("config.json").read_text(encoding="utf-8")).get("model_type")
    if model_type not in MODEL_TYPES:
        raise CheckpointError(
            f"{name}: model_type is {model_type!r}, this version reads {', '.join(MODEL_TYPES)}; nothing more was fetched"
        )
    _refuse_small_disk(folder, files)
    for number, (file, listed) in enumerate(sorted(files.items()), 1):
        click.echo(f"{number}/{len(files)} {file}", err=True)
        _refuse_altered(bring(file), listed)
    write_origin(folder, name, commit, {file: sha256(folder / file) for file in files})
    if faults := verify_full(folder):
        raise CheckpointError("\n".join(faults))
    return commit


def _refuse_small_disk(folder: Path, files: "dict[str, RepoSibling]") -> None:
    """Raise ``CheckpointError`` if what is missing does not fit."""
    missing = sum(listed.size or 0 for file, listed in files.items() if not (folder / file).is_file())
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise CheckpointError(
            f"{folder}: {missing / 1e9:.1f} GB to fetch, {free / 1e9:.1f} GB free; free space, or move models/ to another disk"
        )


def _refuse_altered(path: Path, listed: "RepoSibling") -> None:
    """Hold a file against what the hub lists: SHA-256 of large files, git's blob hash of small ones. Raises ``CheckpointError``."""
    from inspector.vlm.checkpoint import sha256  # noqa: PLC0415 - quick --help

    if listed.lfs is not None:
        found, expected = sha256(path), listed.lfs.sha256
    else:
        content = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        expected = listed.blob_id or ""
    if found != expected:
        path.unlink()
        raise CheckpointError(f"{path}: hash {found[:12]}..., the hub lists {expected[:12]}...; it was removed, pull again")


def _commit_of(folder: Path) -> str | None:
    """Return the commit that a folder was fetched at."""
    from inspector.vlm.full_checkpoint import ORIGIN  # noqa: PLC0415 - quick --help

    try:
        commit = tomllib.loads((folder / ORIGIN).read_text(encoding="utf-8")).get("commit")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    return str(commit) if commit else None


def _without_hub(name: str, folder: Path, revision: str, error: Exception) -> str:
    """Return what to do where the hub cannot be reached."""
    cause = " ".join(str(error).split())[:200]
    return (
        f"{name}: the hub did not give it ({cause}).\n"
        f"On a machine that reaches the hub: hf download {name} --revision {revision} --local-dir {name.split('/')[1]}\n"
        f"Copy that folder to {folder}; it must hold config.json, tokenizer.json, tokenizer_config.json, preprocessor_config.json,"
        " chat_template.jinja and model.safetensors, or its shards with model.safetensors.index.json.\n"
        f"Then: inspector check STATION, with [model] checkpoint = {json.dumps(name)}"
    )
