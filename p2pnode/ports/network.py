"""What the services need of the network: peers, streams, the DHT, gossip, and what traffic may cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from p2pnode.core.ids import PeerId

Direction = Literal["inbound", "outbound"]
Way = Literal["direct", "punched", "relayed"]
"""By itself, by calling each other at once through two routers, or through a third node."""


class Stream(Protocol):
    """One ordered stream of bytes to one authenticated peer. A reset or a lost connection is a NetworkError, never an end."""

    @property
    def peer(self) -> PeerId: ...
    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
    async def receive_some(self, max_bytes: int) -> bytes:
        """At least one byte, at most `max_bytes`; b"" at the clean end."""
        ...

    async def send_eof(self) -> None: ...
    async def aclose(self) -> None: ...
    async def reset(self) -> None:
        """Give up both directions at once: the other side sees a NetworkError."""
        ...


@dataclass(frozen=True, slots=True)
class PeerView:
    """A connected peer. `rtt_ms` is None until measured; `agent` is hostile text; `protocols` what identify told."""

    peer: PeerId
    addresses: tuple[str, ...]
    direction: Direction
    agent: str
    rtt_ms: float | None
    protocols: tuple[str, ...]
    way: Way = "direct"


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """A peer came (identify done: `protocols` known) or its last connection went."""

    peer: PeerId
    connected: bool
    protocols: tuple[str, ...] = ()


class ContentRouting(Protocol):
    """Who has a content, by a DHT that is not ours. Keys are multihashes, the same as in CIDs of them."""

    async def provide(self, multihash: bytes) -> int:
        """As Network.provide."""
        ...

    async def find_providers(self, multihash: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        """As Network.find_providers."""
        ...


@dataclass(frozen=True, slots=True)
class Ban:
    """A peer that is refused for a while. `until` in seconds since 1970; `reason` is the last straw."""

    peer: PeerId
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class NetworkNumbers:
    """How much of it there is now: contacts in the DHT's table, connections and how many there may be."""

    dht_peers: int
    connections: int
    most_connections: int


@dataclass(frozen=True, slots=True)
class Reachability:
    """How others get to this node, as far as is known. Addresses are without /p2p."""

    verdict: Literal["unknown", "public", "private"] = "unknown"
    """What peers found that dialled back; "unknown" while nobody from the internet was asked."""
    voices: int = 0
    """How many peers that rests on."""
    public: tuple[str, ...] = ()
    """Where the internet reaches us."""
    reached_by: tuple[str, ...] = ()
    """By which of "IPv4" and "IPv6"."""
    mapped: str = ""
    """What the router says that it forwards to us; "" for nothing."""
    opened: str = ""
    """What the router says that its firewall lets through to us, by IPv6; "" for nothing."""
    mapped_by: str = ""
    """In which language it was asked: "PCP", "NAT-PMP" or "UPnP"."""
    port: int = 0
    """The TCP port that a router would have to forward; 0: none, we listen on this machine only."""
    relays: tuple[PeerId, ...] = ()
    """Where others reach us through a third node."""
    dht_server: bool = True
    """Whether we answer the DHT's questions, or only ask."""
    is_relay: bool = False
    """Whether we are a relay for others; then the next three count."""
    places: int = 0
    circuits: int = 0
    relayed_bytes: int = 0
    """Since the start, both ways."""


class Network(Protocol):
    """Peers, streams, the DHT and gossip. Keys of the DHT are 32-byte SHA-256 digests."""

    @property
    def peer_id(self) -> PeerId: ...
    @property
    def ipfs(self) -> ContentRouting | None:
        """The DHT of IPFS; None while it is switched off."""
        ...

    def addresses(self) -> list[str]:
        """Own listening multiaddrs (wildcards resolved), each ending in /p2p/PEER_ID."""
        ...

    def peers(self) -> list[PeerView]: ...
    def peer_events(self) -> AbstractAsyncContextManager[AsyncIterator[PeerEvent]]:
        """Events from the moment of entering; first one `connected` for each peer that is connected already."""
        ...

    async def connect(self, address: str) -> PeerId:
        """Dial a multiaddr that ends in /p2p/ID. UsageError if malformed, NetworkError (why, in words) if unreachable."""
        ...

    async def disconnect(self, peer: PeerId) -> None: ...
    async def open_stream(self, peer: PeerId, protocol: str, *, timeout_s: float = 10.0) -> Stream:
        """A new stream; dials the peer by address book and DHT when it is not connected. NetworkError if it does not work out."""
        ...

    def serve(self, protocol: str, handle: Callable[[Stream], Awaitable[None]], *, streams_per_peer: int = 8) -> None:
        """Answer a protocol. When `handle` returns the stream is closed; when it raises, it is reset and logged."""
        ...

    def unserve(self, protocol: str) -> None:
        """Answer it no more, as if it had never been served; streams that are open go on."""
        ...

    async def provide(self, key: bytes) -> int:
        """Tell the DHT that we provide `key`. How many peers hold the record now (0: alone; try again later)."""
        ...

    async def provide_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """As `provide` of each, with one look-up for all keys that lie near each other. By key: how many peers hold the record."""
        ...

    def answer_for(self, keys: Sequence[bytes]) -> None:
        """Answer from now on that we provide these, and tell nobody."""
        ...

    def provided(self) -> list[bytes]:
        """All keys that we answer for."""
        ...

    def answers_for(self, key: bytes) -> bool:
        """Whether we answer that we provide it."""
        ...

    async def is_found(self, key: bytes) -> bool | None:
        """Whether a stranger who knows nobody near it finds that we provide `key`. None: nobody could be asked."""
        ...

    def unprovide(self, key: bytes) -> None:
        """Answer no longer that we provide `key`; what others were told they forget within a day."""
        ...

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        """Peers that provide `key`, without ourselves; their addresses enter the address book."""
        ...

    async def join_topic(
        self, topic: str, validate: Callable[[PeerId, bytes], bool], deliver: Callable[[PeerId, bytes], None]
    ) -> None:
        """Subscribe. `validate` (synchronous: forwarder, data) decides what is relayed; `deliver` gets what it accepted, once."""
        ...

    async def leave_topic(self, topic: str) -> None: ...
    async def publish(self, topic: str, data: bytes) -> None: ...
    def favour(self, members: Callable[[], Container[PeerId]]) -> None:
        """`members` tells who proved to be one of us: their connections are the last to go when places are short."""
        ...

    def numbers(self) -> NetworkNumbers:
        """How much of it there is now."""
        ...

    @property
    def meter(self) -> Meter:
        """What goes over the wire."""
        ...

    def penalise(self, peer: PeerId, points: int, reason: str) -> None:
        """Count misbehaviour; at 100 points a peer is disconnected and banned for a while. Bans are timed and listed."""
        ...

    def reach(self) -> Reachability:
        """How others get to this node."""
        ...

    async def ask_outside(self) -> int:
        """Have a few peers dial us back now, none that did a minute ago; `reach` says then what they found. How many were asked."""
        ...

    async def reach_changed(self) -> None:
        """Return when `reach` may say something else, or when our addresses are others than before."""
        ...

    def banned(self) -> list[Ban]:
        """Bans in force, the soonest over first."""
        ...

    def relay_for_others(self, allowed: bool) -> None:
        """Whether this node may relay; whether it does depends on the settings, and on how it is reached. At first it may."""
        ...

    def lift_ban(self, peer: PeerId) -> bool:
        """End a ban now and forget the peer's points. Whether it was banned."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """Bytes both ways of one kind: the name of a protocol, or words for what carries them."""

    kind: str
    up: int
    down: int


class Meter(Protocol):
    """Counts and paces every byte of the network, headers included."""

    def counted(self) -> tuple[int, int]:
        """Bytes up and down since the start."""
        ...

    def kinds(self) -> list[Carried]:
        """The same bytes told apart by what they are for, the largest first. Together they are all that was counted."""
        ...

    def limit(self, up: int, down: int) -> None:
        """Bytes a second from now on; 0: no limit."""
        ...


class Traffic(Protocol):
    """What the person allows the node to move. Whoever moves a work's bytes, either way, asks before each piece of work."""

    def waiting_reason(self) -> str | None:
        """Why they have to wait, in words ("the month's budget of 50 GB is used up; it begins anew on 1 December"); None: they may go.

        Records, votes and the DHT do not ask: a share of every budget is kept for them.
        """
        ...

    async def allowed(self) -> None:
        """Return when they may go."""
        ...
