"""The one place that imports ``viva-genicam``, when it is needed, and turns its errors into ours.

Source: https://pypi.org/project/viva-genicam (MIT). It is young and has one maintainer, so nothing else of the house knows it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from inspector.errors import CameraError, CameraLost

_INSTALL = 'pip install "qc-inspector[genicam]"'


def load() -> ModuleType:
    """Return the library. Raises ``CameraError`` with the command that installs it."""
    try:
        import viva_genicam  # noqa: PLC0415 - optional: a station without such cameras does not need it
    except ImportError as error:
        raise CameraError(f'kind = "genicam" needs the package viva-genicam ({error}); install it: {_INSTALL}') from error
    return viva_genicam


@contextmanager
def told_as(loss: str) -> Iterator[None]:
    """Let the library's errors come out as ``CameraLost``: ``loss`` says what could not be done and what to do."""
    library = load()
    try:
        yield
    except library.GenicamError as error:
        what, _, cure = loss.partition("; ")
        raise CameraLost(f"{what}: {error}" + (f"; {cure}" if cure else "")) from error
