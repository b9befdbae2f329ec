"""A piece of network between two processes, which a test can make slow, hold up or cut.

with Link(server.port) as link:
    link.delay_seconds = 0.005      # each way; a round trip takes twice as long
    link.hold()                     # nothing passes, and nobody is told: packets are lost
    link.flow()
    link.cut()                      # connections are closed, new ones refused
    link.mend()
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

LOCALHOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
BACKLOG: Final = 100


def _send_at_once(one: socket.socket) -> None:
    one.setblocking(False)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small pieces wait for each other, unasked


class Link:
    """Passes on what comes in at `port` to another port of this machine, and back."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        """May be changed: connections made from then on go there."""
        self.delay_seconds = 0.0
        """How long each byte is under way, in each direction."""
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._listening: socket.socket | None = None
        self._flows = asyncio.Event()
        self._served: dict[asyncio.Task[None], socket.socket] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)

    def __enter__(self) -> "Link":
        self._thread.start()
        self.flow()
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
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
        self._in_loop(self._listen)

    def _in_loop(self, act: Callable[[], None]) -> None:
        async def once() -> None:
            act()

        asyncio.run_coroutine_threadsafe(once(), self._loop).result()

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = socket.create_server((LOCALHOST, self.port), backlog=BACKLOG)
            self._listening.setblocking(False)
            self.port = self._listening.getsockname()[1]
            self._loop.add_reader(self._listening, self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):  # who has gone again
            caller, _ = listening.accept()
            _send_at_once(caller)
            task = self._loop.create_task(self._serve(caller))
            self._served[task] = caller
            task.add_done_callback(self._hang_up)

    def _hang_up(self, task: "asyncio.Task[None]") -> None:
        self._served.pop(task).close()  # here, since a task cancelled before it began closes nothing

    async def _cut(self) -> None:
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        tasks = list(self._served)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, caller: socket.socket) -> None:
        with socket.socket() as called, suppress(OSError):
            _send_at_once(called)
            await self._loop.sock_connect(called, (LOCALHOST, self.target_port))
            ways = [
                asyncio.create_task(self._pass_on(caller, called)),
                asyncio.create_task(self._pass_on(called, caller)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.create_task(self._arrive(under_way, sink))
        try:
            with suppress(OSError):
                while data := await self._loop.sock_recv(source, CHUNK_BYTES):
                    under_way.put_nowait((self._loop.time() + self.delay_seconds, data))
        finally:
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)

    async def _arrive(self, under_way: "asyncio.Queue[tuple[float, bytes]]", sink: socket.socket) -> None:
        with suppress(OSError):
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._flows.wait()
                await self._loop.sock_sendall(sink, data)
