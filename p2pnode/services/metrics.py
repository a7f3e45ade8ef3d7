"""What a node counts, as text that Prometheus reads: totals and sizes, never who.

No metric has a label with a peer, a key, a work, a circle, a title or an address; tests hold that. The table in `docs/home-server.md` is
the contract: names stay. Rendered on demand, from what is at hand and one short read of the store. `gateway.metrics` serves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from p2pnode import __version__
from p2pnode.local.machine import descriptors, memory_bytes
from p2pnode.ports import Tx
from p2pnode.services.doctor import OUTBOX_LOOKED_AT
from p2pnode.services.node import Node

Kind = Literal["gauge", "counter"]
STATES = ("good", "note", "bad")


@dataclass(frozen=True, slots=True)
class Metric:
    """One name with its samples: (labels, value)."""

    name: str
    kind: Kind
    help: str
    samples: tuple[tuple[str, float], ...]


def one(name: str, kind: Kind, help: str, value: float | None) -> Metric:
    """A metric without labels; without samples where the value is not known."""
    return Metric(name, kind, help, () if value is None else (("", float(value)),))


async def collect(node: Node) -> list[Metric]:
    """Everything, now."""
    stored, works, circles, waiting, damaged = await node.store.read(_read)
    numbers, peers = node.network.numbers(), node.network.peers()
    inbound = sum(peer.direction == "inbound" for peer in peers)
    up, down = node.traffic.counted
    files, free = descriptors(), await node.doctor.free_bytes()
    return [
        Metric("p2pnode_info", "gauge", "The version that runs.", ((f'{{version="{__version__}"}}', 1.0),)),
        one("p2pnode_uptime_seconds", "gauge", "Since the node started.", node.clock() - node.started),
        Metric(
            "p2pnode_peers",
            "gauge",
            "Connected peers, by who called.",
            (('{direction="inbound"}', inbound), ('{direction="outbound"}', len(peers) - inbound)),
        ),
        one("p2pnode_connections", "gauge", "Open connections.", numbers.connections),
        one("p2pnode_connections_limit", "gauge", "Connections there may be.", numbers.most_connections),
        one("p2pnode_dht_peers", "gauge", "Contacts in the table of the DHT.", numbers.dht_peers),
        Metric(
            "p2pnode_traffic_bytes_total",
            "counter",
            "Bytes over the wire since the start, headers included.",
            (('{direction="up"}', up), ('{direction="down"}', down)),
        ),
        one("p2pnode_traffic_hour_bytes", "gauge", "Bytes in this hour, both ways.", node.traffic.usage.hour_bytes),
        one("p2pnode_traffic_month_bytes", "gauge", "Bytes in this month, both ways.", node.traffic.usage.month_bytes),
        Metric(
            "p2pnode_rate_limit_bytes_per_second",
            "gauge",
            "The rate that holds now; 0: none.",
            (('{direction="up"}', node.traffic.now.rates.up), ('{direction="down"}', node.traffic.now.rates.down)),
        ),
        one(
            "p2pnode_works_wait", "gauge", "1 while works wait for a budget.", node.traffic.waiting_reason() is not None
        ),
        one("p2pnode_works", "gauge", "Works in the catalogue.", works),
        one("p2pnode_circles", "gauge", "Circles you are in.", circles),
        one("p2pnode_stored_bytes", "gauge", "Bytes that the store owns.", stored),
        one("p2pnode_quota_bytes", "gauge", "Bytes that it may own.", node.settings.quota_bytes),
        one("p2pnode_disk_free_bytes", "gauge", "Free on the library's disk; 0: away or full.", free or 0),
        one("p2pnode_damaged_contents", "gauge", "Contents of which something is damaged or away.", damaged),
        one("p2pnode_outbox_items", "gauge", "Things that wait to be told to the network.", waiting),
        one("p2pnode_open_files", "gauge", "Open files and sockets.", files[0] if files else None),
        one("p2pnode_open_files_limit", "gauge", "Files and sockets there may be.", files[1] if files else None),
        one("p2pnode_memory_bytes", "gauge", "Resident memory of the process.", memory_bytes()),
        Metric(
            "p2pnode_doctor_findings",
            "gauge",
            "Findings of the last examination that asked peers, by state.",
            tuple(
                (f'{{state="{state}"}}', sum(finding.state == state for finding in node.doctor.last))
                for state in STATES
                if node.doctor.last
            ),
        ),
    ]


def render(metrics: list[Metric]) -> str:
    """The text exposition format, version 0.0.4."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{labels} {value:.17g}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


async def text(node: Node) -> str:
    """What is served."""
    return render(await collect(node))


def _read(tx: Tx) -> tuple[int, int, int, int, int]:
    waiting = len(tx.due_outbox(math.inf, OUTBOX_LOOKED_AT))
    return tx.stored_bytes(), tx.count_works(), len(tx.circles()), waiting, len(tx.damaged_roots())
