"""One's machines tell each other what they hold: certificates, revocations among them, and shared state, over `/p2pnode/devices/1`.

The side that begins shows a digest; where it differs both sides send everything, which is little. A session takes place when two
machines meet, at once after a certificate changed, and every minute to send what changed here. Nothing runs on a machine that
was never paired. Called by the node.
"""

from __future__ import annotations

import logging

import trio

from p2pnode.core.device import decode_certificate
from p2pnode.core.device_state import (
    DEVICES_PROTOCOL,
    MAX_FRAME_BYTES,
    MAX_FRAMES,
    Page,
    decode_hello,
    decode_page,
    digest_of,
    encode_hello,
    encode_pages,
)
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, P2pnodeError, PeerError
from p2pnode.ports import Network, Stream
from p2pnode.services.background import contained
from p2pnode.services.devices import Devices
from p2pnode.services.devices_state import SharedState
from p2pnode.services.framing import receive_frame, send_frame

ROUND_S = 60.0
"""Between two looks whether something changed here, and two tries to reach a machine that is away."""
SESSION_S = 30.0
"""For a whole session, dialling included."""
STREAMS_PER_DEVICE = 2

log = logging.getLogger("p2pnode.devices")


class DeviceSync:
    """Sessions between the machines of one person."""

    def __init__(self, network: Network, devices: Devices, state: SharedState) -> None:
        self._network, self._devices, self.state = network, devices, state
        self._roster = devices.roster
        self._wake = trio.Event()
        devices.on_changed.append(self.wake)
        devices.on_left.append(state.forget)

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer one's other machines, and speak to them from now on. After `Devices.start`."""
        await self.state.load()
        self._network.serve(DEVICES_PROTOCOL, self._answer, streams_per_peer=STREAMS_PER_DEVICE)
        nursery.start_soon(self._meet)
        nursery.start_soon(self._rounds)

    def wake(self) -> None:
        """Something changed that the others should know now."""
        self._wake.set()

    async def meet(self, peer: PeerId) -> None:
        """One session with one machine. NetworkError, PeerError."""
        with trio.move_on_after(SESSION_S) as scope:
            stream = await self._network.open_stream(peer, DEVICES_PROTOCOL)
            try:
                await self._begin(stream)
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(1):
                    await stream.aclose()
        if scope.cancelled_caught:
            raise NetworkError(f"{peer} took longer than {SESSION_S:g} s over a session of devices")

    # ------------------------------------------------------------ by itself

    async def _rounds(self) -> None:
        while True:
            self._wake = trio.Event()
            if self._roster.owner is None:
                await self._wake.wait()
                continue
            await contained(self.state.collect)
            await contained(self.state.apply)
            async with trio.open_nursery() as nursery:
                for peer in self._roster.others():
                    nursery.start_soon(self._try, peer)
            with trio.move_on_after(ROUND_S):
                await self._wake.wait()

    async def _meet(self) -> None:
        async with self._network.peer_events() as events:
            async for event in events:
                if event.connected and self._roster.is_ours(event.peer):
                    self.wake()

    async def _try(self, peer: PeerId) -> None:
        try:
            await self.meet(peer)
        except P2pnodeError as error:
            log.debug("%s was not met: %s", peer, error.message)
        except Exception:
            log.exception("a session of devices with %s failed", peer)

    # ------------------------------------------------------------ a session

    async def _begin(self, stream: Stream) -> None:
        await send_frame(stream, encode_hello(self._digest()))
        if decode_hello(await _frame(stream)) == self._digest():
            return
        await self._send(stream)
        await self._receive(stream)

    async def _answer(self, stream: Stream) -> None:
        if not self._roster.is_ours(stream.peer):
            raise NetworkError("it is no device of this node's owner")
        with trio.move_on_after(SESSION_S) as scope:
            theirs = decode_hello(await _frame(stream))
            ours = self._digest()
            await send_frame(stream, encode_hello(ours))
            if theirs != ours:
                pages = self._pages()  # before theirs are taken: what they have they need not get back
                await self._receive(stream)
                await _send_pages(stream, pages)
        if scope.cancelled_caught:
            raise NetworkError("it took too long over a session of devices")

    async def _send(self, stream: Stream) -> None:
        await _send_pages(stream, self._pages())

    async def _receive(self, stream: Stream) -> None:
        pages: list[Page] = []
        while not pages or pages[-1].more:
            if len(pages) >= MAX_FRAMES:
                raise PeerError(f"a machine sends more than {MAX_FRAMES} frames")
            pages.append(decode_page(await _frame(stream)))
            if not self._roster.is_ours(stream.peer):
                raise NetworkError("it was revoked meanwhile")
        await self._devices.take([decode_certificate(data) for page in pages for data in page.certificates])
        if await self.state.take(entry for page in pages for entry in page.entries):
            self.wake()  # for the third machine

    def _digest(self) -> bytes:
        return digest_of([*(one.data for one in self._roster.all()), *self.state.entries()])

    def _pages(self) -> list[bytes]:
        return encode_pages([one.data for one in self._roster.all()], self.state.entries())


async def _send_pages(stream: Stream, pages: list[bytes]) -> None:
    for page in pages:
        await send_frame(stream, page)


async def _frame(stream: Stream) -> bytes:
    data = await receive_frame(stream, MAX_FRAME_BYTES)
    if data is None:
        raise NetworkError("it hung up in the middle of a session")
    return data
