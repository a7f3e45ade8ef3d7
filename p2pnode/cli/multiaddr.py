"""A quick look at multiaddrs as people type them, so that a slip is named before a daemon starts.

Not the judge: that is the library in the daemon, which the command line does not pay for.
"""

from __future__ import annotations

from p2pnode.errors import UsageError

EXAMPLE = "/ip4/192.0.2.7/tcp/4001"
_WITH_VALUE = frozenset(
    [
        "ip4",
        "ip6",
        "ip6zone",
        "ipcidr",
        "dns",
        "dns4",
        "dns6",
        "dnsaddr",
        "tcp",
        "udp",
        "p2p",
        "ipfs",
        "sni",
        "unix",
        "certhash",
    ]
)
_WITHOUT_VALUE = frozenset(
    ["quic", "quic-v1", "ws", "wss", "tls", "http", "https", "p2p-circuit", "webtransport", "webrtc", "webrtc-direct"]
)
_HOSTS = frozenset(["ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr"])


def check_multiaddr(text: str, *, with_peer: bool = False) -> str:
    """The text, unchanged. UsageError if it cannot be a multiaddr, or lacks its peer ID where `with_peer` asks for one."""
    hint = f"for example {EXAMPLE}{'/p2p/12D3Koo...' if with_peer else ''}"
    parts = text.split("/")
    if parts[0] or len(parts) < 3 or "" in parts[1:]:
        raise UsageError(f"{text!r} is not a multiaddr", hint=hint)
    names = _names(parts[1:], text, hint)
    if not names or names[0] not in _HOSTS:
        raise UsageError(f"{text!r} does not begin with a host", hint=hint)
    if with_peer and "p2p" not in names:
        raise UsageError(f"{text!r} does not say which peer is there", hint=f"it ends in /p2p/PEER_ID, {hint}")
    return text


def _names(parts: list[str], text: str, hint: str) -> list[str]:
    names, rest = [], iter(parts)
    for name in rest:
        names.append(name)
        if name in _WITHOUT_VALUE:
            continue
        if name not in _WITH_VALUE:
            raise UsageError(f"{text!r} holds {name!r}, which is no protocol of multiaddrs", hint=hint)
        value = next(rest, None)
        if value is None:
            raise UsageError(f"{text!r} ends after {name}, where a value is missing", hint=hint)
        if name in ("tcp", "udp") and not (value.isdecimal() and int(value) < 65536):
            raise UsageError(f"{value!r} in {text!r} is not a port", hint=hint)
        if name in ("ip4", "ip6"):
            _check_ip(name, value, text, hint)
    return names


def _check_ip(name: str, value: str, text: str, hint: str) -> None:
    import ipaddress

    kind = ipaddress.IPv4Address if name == "ip4" else ipaddress.IPv6Address
    try:
        kind(value)
    except ValueError:
        raise UsageError(f"{value!r} in {text!r} is not an {name} address", hint=hint) from None
