"""A connection that only reads, for one look: also by a user who may not write beside a log that nobody has open.

SQLite needs the shared memory file beside a log to read it. While a daemon runs that is there; when it has stopped in order, a user who
may not write the folder cannot make one. Then nobody writes the log, so it is read as a file that does not change. Such a connection must
be let go soon: it would not notice that a daemon has started.
"""

import sqlite3
from pathlib import Path


def connect_to_look(path: Path, patience_s: float) -> sqlite3.Connection:
    """Return the connection, in autocommit mode. Raises ``sqlite3.Error`` if the file is not there, damaged or may not be read."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=patience_s, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    return connection
