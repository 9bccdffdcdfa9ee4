"""Reading a log beside its daemon: opened for one question and let go, so that nothing is held and a file set aside is noticed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from inspector.edge.at_rest import connect_to_look

_PATIENCE_S = 2.0


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that cannot write; it belongs to the calling thread. An empty database stands for a log that is not there yet.

    Raises ``sqlite3.Error`` if the file is damaged or may not be read.
    """
    with closing(connect_to_look(path, _PATIENCE_S) if path.exists() else sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection
