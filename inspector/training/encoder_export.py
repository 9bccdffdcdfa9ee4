"""Export of the report encoder: a sentence-transformers folder becomes an encoder folder that needs ONNX Runtime alone.

``ensure_onnx_encoder`` does it once; it takes a few seconds and torch. The weights stay float32 and lie beside the graph, so that they
are mapped, not copied. The folder appears as a whole or not at all.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspector.errors import CheckpointError
from inspector.vlm.checkpoint import sha256
from inspector.vlm.encoder import FORMAT, encoder_faults, expected_revision, read_encoder_toml
from inspector.vlm.encoder_source import EncoderSource, encoder_name, find_encoder

OPSET = 18
"""ONNX operator set of the graph."""


def ensure_onnx_encoder(name_or_path: str, models_dir: Path, notify: Callable[[str], None] | None = None) -> Path:
    """Return the encoder folder below ``models_dir``; export it first if it is missing, altered or of another revision.

    ``notify`` gets one line before the export begins. Raises ``CheckpointError``.
    """
    folder = models_dir / encoder_name(name_or_path)
    if (Path(name_or_path) / "encoder.toml").is_file():
        return Path(name_or_path)
    if not _is_usable(folder, expected_revision(name_or_path)):
        source = find_encoder(name_or_path)
        if notify is not None:
            notify(f"exporting the report encoder {source.revision} to {folder} (once, some seconds)")
        export_encoder(source, folder)
    return folder


def export_encoder(source: EncoderSource, folder: Path) -> None:
    """Write an encoder folder, replacing what is there. Raises ``CheckpointError`` if that fails."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            _write_files(source, fresh)
            if folder.exists():
                _refuse_foreign(folder)
                shutil.rmtree(folder)
            fresh.replace(folder)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: the report encoder cannot be written: {error}; check the folder's rights and free space"
        ) from error


def _is_usable(folder: Path, revision: str) -> bool:
    if not (folder / "encoder.toml").is_file():
        return False
    try:
        table = read_encoder_toml(folder)
    except CheckpointError:
        return False  # it is written anew
    return table["revision"] == revision and not encoder_faults(folder, table)


def _refuse_foreign(folder: Path) -> None:
    """Never delete a folder that this module did not write, such as a checkpoint of the same name."""
    known = {".gitignore", "encoder.toml", "model.onnx", "weights.bin", "tokenizer.json"}
    others = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if others:
        raise CheckpointError(f"{folder}: is to hold the report encoder, but there is {others[0]!r} in it; rename that folder")


def _write_files(source: EncoderSource, folder: Path) -> None:
    import transformers  # noqa: PLC0415 - torch only where an export is really due
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - as above

    logging: Any = transformers.utils.logging  # its functions carry no types
    logging.disable_progress_bar()  # it would write over the caller's own progress
    try:
        model = SentenceTransformer(str(source.folder), device="cpu", local_files_only=True, model_kwargs={"attn_implementation": "eager"})
    finally:
        logging.enable_progress_bar()
    tokenizer: Any = model.tokenizer
    transformer: Any = model[0]
    _export_graph(transformer.auto_model, tokenizer.model_input_names, folder)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    sizes: dict[str, int | str] = {
        "dim": int(model.get_embedding_dimension() or 0),
        "max_length": int(model.max_seq_length or 512),
        "pad_id": int(tokenizer.pad_token_id),
        "pad_token": str(tokenizer.pad_token),
    }
    _write_toml(source, folder, sizes)


def _export_graph(network: Any, input_names: list[str], folder: Path) -> None:  # noqa: ANN401 - transformers' models have no common type here
    """Trace the transformer into model.onnx and move its weights into weights.bin."""
    import onnx  # noqa: PLC0415 - needed for an export only
    import torch  # noqa: PLC0415 - as above

    class Hidden(torch.nn.Module):
        """Token vectors of a transformer, (N, T) ids -> (N, T, d)."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *feeds: torch.Tensor) -> torch.Tensor:
            """Return the last hidden state."""
            hidden: torch.Tensor = self.network(**dict(zip(names, feeds, strict=True))).last_hidden_state
            return hidden

    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in input_names]
    example = {name: torch.ones(2, 7, dtype=torch.int64) for name in names}
    network.eval().float()
    path = folder / "model.onnx"
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes; the result is compared with the source in the tests
        torch.onnx.export(
            Hidden(),
            tuple(example.values()),
            str(path),
            input_names=names,
            output_names=["hidden"],
            dynamic_axes={name: {0: "N", 1: "T"} for name in [*names, "hidden"]},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(path)
    onnx.save_model(graph, path, save_as_external_data=True, all_tensors_to_one_file=True, location="weights.bin", size_threshold=1024)
    (folder / "weights.bin").chmod(0o644)  # onnx writes it for its owner alone, but the service runs as another user


def _write_toml(source: EncoderSource, folder: Path, sizes: dict[str, int | str]) -> None:
    lines = [f"format = {FORMAT}", f'name = "{source.name}"', f'revision = "{source.revision}"', f'pooling = "{source.pooling}"']
    lines += [f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"' for key, value in sizes.items()]
    for path in sorted(folder.iterdir()):
        lines += ["", f'[files."{path.name}"]', f"bytes = {path.stat().st_size}", f'sha256 = "{sha256(path)}"']
    (folder / "encoder.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")  # made here from the source, so it does not belong into a repository
