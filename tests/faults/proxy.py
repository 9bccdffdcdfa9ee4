"""The network between publishers and broker: a TCP proxy that can fall silent.

While it is silent it accepts connections and never answers them, and swallows what comes in on those that are open. Bytes that were
swallowed are missing for good, so these connections are closed when the silence ends.
"""

import asyncio
import threading

_CHUNK_BYTES = 65_536


class Proxy:
    """Carries bytes between a port of its own and the broker's, in a thread of its own."""

    def __init__(self, broker_port: int) -> None:
        """Start to listen on a free port of the loopback interface."""
        self.port = 0
        self.swallowed_bytes = 0
        """Bytes that went nowhere."""
        self._broker_port = broker_port
        self._is_silent = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="proxy", daemon=True)
        self._thread.start()
        self._listens.wait(10)

    def fall_silent(self) -> None:
        """Swallow everything from now on."""
        self._loop.call_soon_threadsafe(self._set_silent)

    def speak(self) -> None:
        """Carry bytes again; close the connections that have lost some."""
        self._loop.call_soon_threadsafe(self._set_speaking)

    def close(self) -> None:
        """Close every connection and end the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _set_silent(self) -> None:
        self._is_silent = True

    def _set_speaking(self) -> None:
        self._is_silent = False
        for writer in self._cut:
            writer.close()
        self._cut.clear()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._listens.set()
        await self._stop.wait()
        server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0)

    async def _carry(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Carry one connection until one side ends it."""
        self._writers.add(answer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self._is_silent:
                self._cut.add(answer)
                while chunk := await client.read(_CHUNK_BYTES):
                    self.swallowed_bytes += len(chunk)
                return
            broker, upstream = await asyncio.open_connection("127.0.0.1", self._broker_port)
            self._writers.add(upstream)
            pair = (answer, upstream)
            ways = [asyncio.ensure_future(self._pump(client, upstream, pair)), asyncio.ensure_future(self._pump(broker, answer, pair))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        except OSError:  # the broker is away or a side has broken off: the other side sees its connection end
            return
        finally:
            for writer in (answer, upstream):
                if writer is not None:
                    writer.close()
                    self._writers.discard(writer)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, pair: tuple[asyncio.StreamWriter, ...]) -> None:
        """Carry one direction; in silence swallow and note that the connection has lost bytes."""
        try:
            while chunk := await source.read(_CHUNK_BYTES):
                if self._is_silent:
                    self._cut.update(pair)
                    self.swallowed_bytes += len(chunk)
                else:
                    target.write(chunk)
                    await target.drain()
        except OSError:  # reset by the peer: the same as its end
            return
