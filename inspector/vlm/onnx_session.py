"""Opening an ONNX graph on the execution providers that were asked for, or saying what is in the way: ONNX Runtime itself goes on silently.

It leaves out a provider whose libraries cannot be loaded, and gives single nodes to the CPU that a provider does not know. The first is
refused here, the second can be told (``nodes_by_provider``).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from inspector.errors import CheckpointError


def session_options(threads: int) -> ort.SessionOptions:
    """Return how graphs are run on ``threads`` threads.

    Threads that have nothing to do sleep instead of spinning: each graph has a pool of its own, and the spinning pool of one takes the
    core on which the next one, the log or the broker wants to work.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_graph(path: Path, providers: Sequence[str], threads: int, *, graph: bytes | None = None) -> ort.InferenceSession:
    """Open the graph in a file, or its altered bytes ``graph``. Raises ``CheckpointError`` if it or a provider cannot be used."""
    available = ort.get_available_providers()
    unknown = [name for name in providers if name not in available]
    if unknown:
        raise CheckpointError(f"model.providers: {unknown[0]!r} is not in this build of ONNX Runtime; available: {', '.join(available)}")
    options = session_options(threads)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = ort.InferenceSession(str(path) if graph is None else graph, options, providers=list(providers))
    except Exception as error:  # onnxruntime raises bare Exception subclasses of its own
        raise CheckpointError(f"{path}: ONNX Runtime cannot load it: {error}") from error
    refuse_fallback(providers, session.get_providers())
    return session


def refuse_fallback(asked: Sequence[str], got: Sequence[str]) -> None:
    """Raise ``CheckpointError`` if a provider that was asked for is not among those that work, or not first."""
    missing = [name for name in asked if name not in got]
    if missing or got[0] != asked[0]:
        raise CheckpointError(
            f"model.providers: asked for {', '.join(asked)}, ONNX Runtime fell back to {', '.join(got)};"
            " see that the provider's libraries (CUDA, cuDNN, TensorRT) are installed in the versions that this ONNX Runtime wants,"
            " or name the providers that work"
        )


def nodes_by_provider(session: ort.InferenceSession) -> dict[str, int]:
    """Return how many nodes of a graph each provider runs, the most first."""
    counts = Counter[str]()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return dict(counts.most_common())
