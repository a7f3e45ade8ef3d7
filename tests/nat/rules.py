"""What each kind of router does to packets, as rules for nftables. Pure text; `street` loads it.

Routers of the kernel keep a source port where they can: that is a NAT whose mapping does not depend on the other end, as most homes
have. What differs is whom they let in by a mapping, and whether the port is drawn anew for each connection. All drop what nobody asked for
without a word, as routers sold for homes do: a refusal would end a hole punch before it began.
"""

from __future__ import annotations

from enum import StrEnum

WAN, LAN = "wan", "lan"
PCP_PORT = 5351
"""And NAT-PMP's; UPnP's is found by multicast."""


class Kind(StrEnum):
    """How a home is connected to the street."""

    PUBLIC = "public"
    FULL_CONE = "full-cone"
    PORT_RESTRICTED = "port-restricted"
    SYMMETRIC = "symmetric"
    DOUBLE = "double"
    UPNP = "upnp"
    UDP_BLOCKED = "udp-blocked"
    IPV6_OPEN = "ipv6-open"
    """These three have IPv6, and IPv4 behind a router that is as bad as one can be."""
    IPV6_FIREWALL = "ipv6-firewall"
    IPV6_PINHOLE = "ipv6-pinhole"


IPV6 = (Kind.IPV6_OPEN, Kind.IPV6_FIREWALL, Kind.IPV6_PINHOLE)
MAPPING = (Kind.UPNP, Kind.IPV6_PINHOLE)


def rules_of(kind: Kind, host: str) -> str:
    """The rules of a router whose first home has the address `host`."""
    masquerade = "masquerade random,fully-random" if kind in (Kind.SYMMETRIC, *IPV6) else "masquerade"
    inwards = f'iifname "{WAN}" tcp dport 1024-65535 dnat to {host}' if kind is Kind.FULL_CONE else ""
    blocked = "meta l4proto udp drop" if kind is Kind.UDP_BLOCKED else ""
    mute = f"udp dport {PCP_PORT} reject" if kind in IPV6 else ""  # of IPv4 it maps nothing
    return f"""
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {inwards}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "{WAN}" {masquerade}
    }}
}}
table ip filter {{
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        {mute}
        iifname != "{WAN}" accept
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct status dnat accept
        iifname "{LAN}" oifname "{LAN}" accept
        {blocked}
        iifname "{LAN}" accept
    }}
}}
{ipv6_rules(kind) if kind in IPV6 else ""}
"""


def ipv6_rules(kind: Kind) -> str:
    """No translation of addresses, but a firewall that lets in answers only, and what miniupnpd opens (its chain, in a table of ours)."""
    return f"""
table inet miniupnpd {{
    chain miniupnpd {{ }}
    chain prerouting_miniupnpd {{ }}
    chain postrouting_miniupnpd {{ }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        meta nfproto ipv4 accept
        ct state established,related accept
        iifname "{LAN}" accept
        {"accept" if kind is Kind.IPV6_OPEN else "jump miniupnpd"}
    }}
}}
"""


def upnp_configuration(
    lan_address: str, name: str, *, upnp: bool = True, natpmp: bool = True, ipv4: bool = True
) -> str:
    """miniupnpd's: it makes a table of its own beside ours, whose forward chain accepts what it mapped by `ct status dnat`. `natpmp`
    is PCP too; without `ipv4` only firewalls of IPv6 are opened."""
    allowed = f"allow 1024-65535 {lan_address.rpartition('.')[0]}.0/24 1024-65535" if ipv4 else ""
    return f"""
ext_ifname={WAN}
listening_ip={LAN}
http_port=0
enable_upnp={"yes" if upnp else "no"}
enable_natpmp={"yes" if natpmp else "no"}
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
min_lifetime=60
max_lifetime=86400
secure_mode=yes
notify_interval=30
lease_file={name}.leases
uuid=24d39d6d-eaf6-4d06-8c35-2a24c2f487b5
{allowed}
deny 0-65535 0.0.0.0/0 0-65535
"""
