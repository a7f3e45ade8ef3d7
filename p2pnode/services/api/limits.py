"""Methods about what the node may send and receive."""

from __future__ import annotations

from p2pnode.core.traffic_rules import MOST_BYTES
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params


def describe(node: Node) -> Json:
    """What was counted, what is set, and what holds now."""
    limits = node.traffic
    up, down = limits.counted
    numbers = node.network.numbers()
    return {
        "up_bytes": up,
        "down_bytes": down,
        "hour_bytes": limits.usage.hour_bytes,
        "month_bytes": limits.usage.month_bytes,
        "rate_up_bytes_s": limits.rules.rates.up,
        "rate_down_bytes_s": limits.rules.rates.down,
        "schedule": list(limits.schedule),
        "budget_hour_bytes": limits.rules.hour_bytes,
        "budget_month_bytes": limits.rules.month_bytes,
        "now_up_bytes_s": limits.now.rates.up,
        "now_down_bytes_s": limits.now.rates.down,
        "waiting": limits.waiting_reason(),
        "connections": numbers.connections,
        "connections_limit": numbers.most_connections,
    }


async def show(node: Node, params: Params, emit: Emit) -> Json:
    """Limits and counters."""
    params.end()
    node.traffic.apply()
    kinds = [{"kind": one.kind, "up_bytes": one.up, "down_bytes": one.down} for one in node.traffic.kinds()]
    return describe(node) | {"kinds": kinds}


async def change(node: Node, params: Params, emit: Emit) -> Json:
    """Set what is given until the node stops."""
    names = {
        "up": "rate_up_bytes_s",
        "down": "rate_down_bytes_s",
        "hour_bytes": "budget_hour_bytes",
        "month_bytes": "budget_month_bytes",
    }
    given = {
        short: int(params.number(name, 0, least=0, most=MOST_BYTES))
        for short, name in names.items()
        if params.has(name)
    }
    schedule = tuple(params.texts("schedule")) if params.has("schedule") else None
    params.end()
    node.traffic.set(schedule=schedule, **given)
    return describe(node)


METHODS: dict[str, ApiMethod] = {"limits.show": show, "limits.set": change}
