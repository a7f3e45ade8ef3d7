"""Multiaddrs as text: reading what people type, what peers claim, and what we listen on ourselves.

Never dials. Used by every file of `net`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

import ifaddr
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import UsageError
from p2pnode.net.binary import bytes_of, peer_of, text_of

MAX_ADDRESS_CHARACTERS = 256
"""Longer than any TCP address with a name; what a peer claims beyond it is dropped."""
MAX_PEER_ADDRESSES = 8
"""Addresses kept of one peer: a few interfaces, IPv4 and IPv6."""
HOST_PROTOCOLS = ("ip4", "ip6", "dns", "dns4", "dns6")
CIRCUIT = "/p2p-circuit"
"""Ends the address of a peer behind a relay: /ip4/.../tcp/.../p2p/RELAY/p2p-circuit, and no /p2p/ of its own."""
EXAMPLE = "an address looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW..."


def to_id(peer: PeerId) -> ID:
    """libp2p's form of a peer ID. UsageError if it is none."""
    try:
        data = bytes_of(peer)
    except Exception as error:
        raise UsageError(f"{peer!r} is not a peer ID") from error
    if not is_peer_bytes(data):
        raise UsageError(f"{peer!r} is not a peer ID")
    return ID(data)


def is_peer_bytes(data: bytes) -> bool:
    """Whether these bytes have the shape of a peer ID: an Ed25519 key in an identity multihash, or a SHA-256 multihash."""
    return (len(data) == 38 and data[:6] == b"\x00\x24\x08\x01\x12\x20") or (
        len(data) == 34 and data[:2] == b"\x12\x20"
    )


def peer_id(found: ID) -> PeerId:
    return peer_of(found.to_bytes())


def public_key_of(peer: PeerId) -> bytes | None:
    """The 32-byte Ed25519 key inside a peer ID, None for other kinds of keys.

    Never ask a Noise session for it: what libp2p returns there is the X25519 session key (`security/noise/patterns.py`).
    """
    data = to_id(peer).to_bytes()
    return data[6:] if len(data) == 38 else None


def split_address(text: str) -> tuple[PeerId, str]:
    """(peer, address without /p2p/...) of a multiaddr that ends in /p2p/ID. UsageError says what is wrong with it."""
    address, mark, peer = text.strip().rpartition("/p2p/")
    if not mark:
        raise UsageError(f"{text!r} does not end in /p2p/ and a peer ID", hint=EXAMPLE)
    if not address:
        raise UsageError(f"{text!r} names a peer, but no address to reach it at", hint=EXAMPLE)
    peer_part = PeerId(peer.rstrip("/"))
    to_id(peer_part)
    check_address(address)
    return peer_part, address


def check_address(address: str) -> Multiaddr:
    """The parsed form of a TCP multiaddr without /p2p, or of such a one through a relay. UsageError if it is anything else."""
    if len(address) > MAX_ADDRESS_CHARACTERS:
        raise UsageError(f"an address of {len(address)} characters is too long", hint=EXAMPLE)
    try:
        parsed = Multiaddr(address)
        names = [protocol.name for protocol in parsed.protocols()]
    except Exception as error:
        raise UsageError(f"{address!r} is not a multiaddr: {error}", hint=EXAMPLE) from error
    if names[2:] == ["p2p", "p2p-circuit"]:
        to_id(PeerId(address.split("/")[6]))  # the relay's
        names = names[:2]
    if len(names) != 2 or names[0] not in HOST_PROTOCOLS or names[1] != "tcp":
        raise UsageError(f"{address!r} is not a TCP address, and p2pnode speaks no other transport", hint=EXAMPLE)
    return parsed


def usable(addresses: Iterable[str]) -> list[str]:
    """The addresses that we could dial, without /p2p, each once, at most MAX_PEER_ADDRESSES."""
    kept: dict[str, None] = {}
    for text in addresses:
        through, circuit, rest = text.partition(CIRCUIT)
        if CIRCUIT in rest:
            continue  # a relay behind a relay
        address = through + circuit if circuit else text.partition("/p2p/")[0]
        try:
            parsed = check_address(address)
        except UsageError:
            continue
        if not address.startswith(("/ip4/0.0.0.0/", "/ip6/::/")) and str(parsed.value_for_protocol("tcp")) != "0":
            kept[address] = None
        if len(kept) == MAX_PEER_ADDRESSES:
            break
    return list(kept)


def usable_binary(addresses: Iterable[bytes]) -> list[str]:
    """As `usable`, of addresses in their binary form, as peers send them."""
    kept: dict[str, None] = {}
    for _, data in zip(range(4 * MAX_PEER_ADDRESSES), addresses, strict=False):
        if len(kept) < MAX_PEER_ADDRESSES and (address := text_of(data)) is not None:
            kept[address] = None
    return list(kept)


def host_of(address: str) -> str:
    """The IP address or name in a multiaddr: the relay's, if it leads through one."""
    return address.split("/")[2]


def is_circuit(address: str) -> bool:
    """Whether an address (without /p2p at its end) leads through a relay."""
    return address.endswith(CIRCUIT)


def is_near(address: str) -> bool:
    """Whether an address lies in a local network: loopback, private or link-local."""
    return not is_circuit(address) and is_near_ip(host_of(address))


@lru_cache(4096)
def is_near_ip(host: str) -> bool:
    """Whether an IP address is of a local network; what is none lies nowhere near."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_private or ip.is_link_local


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(host_of(address)).is_loopback
    except ValueError:
        return False


def without_wildcards(listening: Sequence[str]) -> list[str]:
    """Listening addresses with 0.0.0.0 and :: replaced by the addresses of this machine's interfaces, loopback last."""
    found: dict[str, None] = {}
    for address in listening:
        _, family, host, rest = address.split("/", 3)
        if host not in ("0.0.0.0", "::"):
            found[address] = None
            continue
        for ip in _interface_addresses(6 if family == "ip6" else 4):
            found[f"/{family}/{ip}/{rest}"] = None
    return sorted(found, key=is_loopback)


def _interface_addresses(version: int) -> list[str]:
    addresses: list[str] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            ip = ipaddress.ip_address(text)
            if ip.version == version and not (
                version == 6 and ip.is_link_local
            ):  # those need a zone that peers do not share
                addresses.append(text)
    return addresses
