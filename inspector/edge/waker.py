"""A waker: any thread wakes the one that waits in ``select`` for the network, without ever waiting itself."""

import socket


class Waker:
    """A pair of sockets; the waiting thread watches ``reader``."""

    def __init__(self) -> None:
        """Open the pair."""
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)  # noqa: FBT003 - the standard library's
        self._writer.setblocking(False)  # noqa: FBT003 - the standard library's

    def wake(self) -> None:
        """Wake the waiting thread."""
        try:
            self._writer.send(b"w")
        except OSError:  # full: the thread has enough to wake it; closed: it has ended
            return

    def close(self) -> None:
        """Close the pair, once nobody waits."""
        self._writer.close()
        self.reader.close()
