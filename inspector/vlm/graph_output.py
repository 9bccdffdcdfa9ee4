"""One more output for an ONNX graph, added in memory: the file, its hash and the checkpoint's revision stay what they are.

ONNX is protobuf, where a message that is appended to another of its kind is merged with it: repeated fields, such as a graph's outputs, are
appended (protobuf.dev, "Encoding", last field wins / merge). So nothing has to be parsed, and the daemon needs no ``onnx``.
"""

from inspector.errors import CheckpointError

PATCHES = "/upper/_blocks.15/_project_conv/Conv_output_0"
"""The vision tower's last map, (B, 320, S / 32, S / 32) float32, under the name that the export gives it."""

_GRAPH, _OUTPUT = 7, 12  # ModelProto.graph, GraphProto.output
_NAME, _TYPE, _TENSOR_TYPE = 1, 2, 1  # ValueInfoProto.name, .type; TypeProto.tensor_type
_IS_FLOAT = b"\x08\x01"  # TypeProto.Tensor.elem_type = FLOAT


def with_output(graph: bytes, tensor: str) -> bytes:
    """Return a serialised graph that also puts out one of its float tensors. Raises ``CheckpointError`` if it has none of that name."""
    name = tensor.encode()
    if name not in graph:
        raise CheckpointError(f"vision.onnx has no tensor {tensor}: it was exported by another version; build the checkpoint anew")
    value = _field(_NAME, name) + _field(_TYPE, _field(_TENSOR_TYPE, _IS_FLOAT))
    return graph + _field(_GRAPH, _field(_OUTPUT, value))


def _field(number: int, body: bytes) -> bytes:
    """Return a length-delimited protobuf field; number below 16 and body below 128 bytes take one byte each."""
    return bytes((number << 3 | 2, len(body))) + body
