"""The identify protocol: who we are told to whoever asks, and what a peer says of itself, bounded.

libp2p's own version keeps whatever a peer claims and answers with libp2p's name; ours tells `p2pnode/<version>`.
What a peer says is hostile text: the agent is cut to printable characters, protocols and addresses are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2pnode import __version__
from p2pnode.errors import DecodeError, PeerError
from p2pnode.net.addresses import usable_binary
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream

PROTOCOL = "/ipfs/id/1.0.0"
PUSH_PROTOCOL = "/ipfs/id/push/1.0.0"
AGENT = f"p2pnode/{__version__}"
PROTOCOL_VERSION = "ipfs/0.1.0"
MAX_MESSAGE_BYTES = 64 << 10
"""go-libp2p sends at most 8 KiB unless it has very many addresses."""
MAX_AGENT_CHARACTERS = 128
MAX_PROTOCOLS = 200
MAX_PROTOCOL_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a peer says of itself, and where it sees us (`observed`, "" if it does not say). Addresses are without /p2p."""

    agent: str = ""
    protocols: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    observed: str = ""


def encode(public_key: bytes, addresses: Iterable[str], protocols: Iterable[str], observed: str | None) -> bytes:
    """The message with its length before it."""
    message = Identify(
        protocol_version=PROTOCOL_VERSION,
        agent_version=AGENT,
        public_key=public_key,
        listen_addrs=[Multiaddr(address).to_bytes() for address in addresses],
        protocols=sorted(protocols),
        observed_addr=Multiaddr(observed).to_bytes() if observed else b"",
    )
    return bytes(encode_varint_prefixed(message.SerializeToString()))


def decode(data: bytes) -> Introduction:
    """DecodeError for anything that is not an identify message."""
    message = Identify()
    try:
        message.ParseFromString(data)
    except Exception as error:
        raise DecodeError("not an identify message") from error
    agent = "".join(c for c in message.agent_version[:MAX_AGENT_CHARACTERS] if c.isprintable())
    protocols = [p for p in message.protocols[:MAX_PROTOCOLS] if len(p) <= MAX_PROTOCOL_CHARACTERS and p.isprintable()]
    observed = usable_binary([message.observed_addr])
    return Introduction(agent, tuple(protocols), tuple(usable_binary(message.listen_addrs)), "".join(observed))


async def ask(stream: Stream) -> Introduction:
    """What the peer at the other end of a fresh identify stream says. PeerError if it says nothing or nonsense."""
    data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
    if data is None:
        raise PeerError("the peer ended identify without a word")
    try:
        return decode(data)
    except DecodeError as error:
        raise PeerError(f"the peer's introduction is {error.message}") from error


async def answer(stream: Any, introduction: Callable[[str | None], bytes]) -> None:
    """Serve one identify stream. `introduction` makes the message, given the address we see the peer at."""
    remote = stream.raw.get_remote_address()
    observed = None
    if remote is not None:
        family = "ip6" if ":" in remote[0] else "ip4"
        observed = f"/{family}/{remote[0]}/tcp/{remote[1]}"
    await stream.send_all(introduction(observed))
