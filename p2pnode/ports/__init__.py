"""The ports: what the services need from the world, as types only.

`store` and `net` implement them; `services` know nothing else. Times are seconds since 1970 (UTC, float) from a WallClock unless
a name says otherwise; monotonic time is trio's. Every method may raise the classes of `p2pnode.errors` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from p2pnode.ports.contents import Checked, Content, Damage, OutboxItem, Place, Stock, WantedFile, Work
from p2pnode.ports.network import (
    Ban,
    Carried,
    ContentRouting,
    Direction,
    Meter,
    Network,
    NetworkNumbers,
    PeerEvent,
    PeerView,
    Reachability,
    Stream,
    Traffic,
)
from p2pnode.ports.store import AddressBook, Incoming, ProviderRecords, Store
from p2pnode.ports.tx import Tx

Json = dict[str, Any]
"""A JSON object as the control socket carries it."""
Emit = Callable[[str, Json], None]
"""Tells an event by its name and data; never waits, never raises."""


class WallClock(Protocol):
    """Seconds since 1970 (UTC)."""

    def __call__(self) -> float: ...


__all__ = [
    "AddressBook",
    "Ban",
    "Carried",
    "Checked",
    "Content",
    "ContentRouting",
    "Damage",
    "Direction",
    "Emit",
    "Incoming",
    "Json",
    "Meter",
    "Network",
    "NetworkNumbers",
    "OutboxItem",
    "PeerEvent",
    "PeerView",
    "Place",
    "ProviderRecords",
    "Reachability",
    "Stock",
    "Store",
    "Stream",
    "Traffic",
    "Tx",
    "WallClock",
    "WantedFile",
    "Work",
]
