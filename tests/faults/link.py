"""A piece of network between two processes, which a test can make slow, hold up or cut.

with Link(server.port) as link:
    link.delay_seconds = 0.005      # each way; a round trip takes twice as long
    link.hold()                     # nothing passes, and nobody is told: packets are lost
    link.flow()
    link.cut()                      # connections are closed, new ones refused
    link.mend()
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

LOCALHOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536


class Link:
    """Passes on what comes in at `port` to another port of this machine, and back."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        """May be changed: connections made from then on go there."""
        self.delay_seconds = 0.0
        """How long each byte is under way, in each direction."""
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)

    def __enter__(self) -> "Link":
        self._thread.start()
        self.flow()
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        asyncio.run_coroutine_threadsafe(self._end_tasks(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold(self) -> None:
        """Nothing passes from now on, and nobody is told."""
        self._in_loop(self._flows.clear)

    def flow(self) -> None:
        """What was held passes, and what comes."""
        self._in_loop(self._flows.set)

    def cut(self) -> None:
        """Closes what is open, and refuses what comes."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def mend(self) -> None:
        """Takes connections again, at the same port."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def _in_loop(self, act: Callable[[], None]) -> None:
        async def once() -> None:
            act()

        asyncio.run_coroutine_threadsafe(once(), self._loop).result()

    async def _listen(self) -> None:
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._serve, LOCALHOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        if server is not None:
            await server.wait_closed()

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(LOCALHOST, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self._writers |= pair
        try:
            ways = [asyncio.create_task(self._pass_on(reader, back)), asyncio.create_task(self._pass_on(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in pair:
                one.transport.abort()
            self._writers -= pair

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.create_task(self._arrive(under_way, sink))
        try:
            with suppress(OSError):
                while data := await source.read(CHUNK_BYTES):
                    under_way.put_nowait((self._loop.time() + self.delay_seconds, data))
        finally:
            arriving.cancel()

    async def _arrive(self, under_way: "asyncio.Queue[tuple[float, bytes]]", sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
