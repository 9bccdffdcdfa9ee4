"""inspector: an edge daemon for visual inspection at factory stations.

Importing the package sets ``ORT_DISABLE_TELEMETRY=1`` before anything can import onnxruntime: its Linux
wheels write a telemetry cache at import and read this switch only there.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
