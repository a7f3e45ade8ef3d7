"""Machines of one or several people on a loopback hub, and peers that attack their pairing by hand."""

from __future__ import annotations

import hashlib

import trio

from p2pnode.core import device_messages as messages
from p2pnode.core.device import Certificate
from p2pnode.core.device_code import Code, parse_code
from p2pnode.core.ids import PeerId
from p2pnode.ports import Json, Network, Stream
from p2pnode.services.devices import Devices
from p2pnode.services.devices_pake import Exchange
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.me import Me
from p2pnode.store.memory import MemoryStore
from tests.support.loopback import Hub

NOON = 1_790_000_000.0


class Machine:
    """One node's devices, with a store in memory."""

    def __init__(self, hub: Hub, name: str, person: str | None = None) -> None:
        self.name, self.now = name, NOON
        self.events: list[tuple[str, Json]] = []
        self.store = MemoryStore(clock=lambda: self.now)
        self.network = hub.node(name)
        self.me = Me(hashlib.sha256((person or name).encode()).digest())
        self.devices = self.opened()

    def opened(self) -> Devices:
        """As after a restart, too: only the store and the identity are carried over."""
        return Devices(
            self.store,
            self.network,
            self.me,
            lambda: self.now,
            lambda name, data: self.events.append((name, data)),
            machine=self.name,
        )

    @property
    def peer(self) -> PeerId:
        return self.network.peer_id


class Shown:
    """A code that a machine shows in the background, and what came of it."""

    def __init__(self, machine: Machine, nursery: trio.Nursery) -> None:
        self._machine, self._told = machine, trio.Event()
        self.code = Code("", "")
        self.answer: Json = {}
        self.error: Exception | None = None
        self.over = trio.Event()
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        def emit(name: str, data: Json) -> None:
            assert name == "device.code"
            self.code = parse_code(data["code"])
            self._told.set()

        try:
            self.answer = await self._machine.devices.show(None, emit)
        except Exception as error:
            self.error = error
        self.over.set()

    async def told(self) -> Shown:
        with trio.fail_after(60):
            await self._told.wait()
        return self

    async def done(self) -> Shown:
        with trio.fail_after(60):
            await self.over.wait()
        return self


async def pair(desk: Machine, server: Machine, *roles: str, name: str = "server") -> Json:
    """The whole of it, as two people at two screens do it."""
    async with trio.open_nursery() as nursery:
        shown = await Shown(server, nursery).told()
        await desk.network.connect(server.network.addresses()[0])
        answer = await desk.devices.enter(str(shown.code), address=None, name=name, own_name="desk", roles=roles)
        await shown.done()
    assert shown.answer["check"] == answer["check"]
    return answer


async def frame(stream: Stream) -> bytes:
    data = await receive_frame(stream, messages.MAX_FRAME_BYTES)
    assert data is not None, "it hung up"
    return data


async def begin(network: Network, peer: PeerId, secret: str) -> tuple[Stream, bytes]:
    """An attacker's exchange up to the key: the stream, and what it has for a key with these digits."""
    stream = await network.open_stream(peer, messages.PAIR_PROTOCOL)
    exchange = Exchange("A", secret.encode(), enters=network.peer_id, shows=peer)
    await send_frame(stream, messages.encode_element(exchange.element))
    return stream, exchange.finish(messages.read_element(await frame(stream)))


async def guess(network: Network, peer: PeerId, secret: str) -> bytes:
    """Try some digits; the answer's frame. RefusedError is inside it when they were wrong."""
    stream, key = await begin(network, peer, secret)
    await send_frame(stream, messages.encode_confirm(messages.confirmation(key, "A")))
    return await frame(stream)


def wrong(code: Code, by: int = 1) -> str:
    """Other digits than the code's."""
    return f"{(int(code.secret) + by) % 1_000_000:06d}"


async def hand_over(stream: Stream, *certificates: Certificate) -> None:
    """The last step of A's, with whatever certificates."""
    await send_frame(stream, messages.encode_certificates(certificates))
    messages.read_done(await frame(stream))
