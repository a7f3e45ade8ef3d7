"""What each kind of router does to packets, as rules for nftables. Pure text; `street` loads it.

Routers of the kernel keep a source port where they can: that is a NAT whose mapping does not depend on the other end, as most homes
have. What differs is whom they let in by a mapping, and whether the port is drawn anew for each connection. All drop what nobody asked for
without a word, as routers sold for homes do: a refusal would end a hole punch before it began.
"""

from __future__ import annotations

from enum import StrEnum

WAN, LAN = "wan", "lan"
UPNP_PORT = 5351
"""NAT-PMP's; UPnP's is found by multicast."""


class Kind(StrEnum):
    """How a home is connected to the street."""

    PUBLIC = "public"
    FULL_CONE = "full-cone"
    PORT_RESTRICTED = "port-restricted"
    SYMMETRIC = "symmetric"
    DOUBLE = "double"
    UPNP = "upnp"
    UDP_BLOCKED = "udp-blocked"


def rules_of(kind: Kind, host: str) -> str:
    """The rules of a router whose first home has the address `host`."""
    masquerade = "masquerade random,fully-random" if kind is Kind.SYMMETRIC else "masquerade"
    inwards = f'iifname "{WAN}" tcp dport 1024-65535 dnat to {host}' if kind is Kind.FULL_CONE else ""
    blocked = "meta l4proto udp drop" if kind is Kind.UDP_BLOCKED else ""
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
"""


def upnp_configuration(lan_address: str, pid_file: str) -> str:
    """miniupnpd's: it makes a table of its own beside ours, whose forward chain accepts what it mapped by `ct status dnat`."""
    return f"""
ext_ifname={WAN}
listening_ip={LAN}
http_port=0
enable_upnp=yes
enable_natpmp=yes
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
min_lifetime=60
max_lifetime=86400
secure_mode=yes
notify_interval=30
lease_file={pid_file}.leases
uuid=24d39d6d-eaf6-4d06-8c35-2a24c2f487b5
allow 1024-65535 {lan_address.rpartition(".")[0]}.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""
