"""The methods of the control socket as functions on a Node: reading parameters, calling a journey, answering JSON.

A public contract: members may be added to an answer, never renamed. The control server gets the table as an argument.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from p2pnode.ports import Emit
from p2pnode.services.api import (
    bans,
    bundle,
    car,
    circles,
    deciding,
    devices,
    dht,
    doctor,
    forking,
    gateway,
    keeping,
    limits,
    node,
    publishing,
    questions,
    reading,
    transfers,
    watching,
    works,
)
from p2pnode.services.api.rights import ON_THE_MACHINE_ONLY, check_rights
from p2pnode.services.node import Node
from p2pnode.services.params import Params

Method = Callable[[dict[str, Any], Emit], Awaitable[dict[str, Any]]]

TABLE = (
    node.METHODS
    | works.METHODS
    | circles.METHODS
    | transfers.METHODS
    | reading.METHODS
    | questions.METHODS
    | car.METHODS
    | bundle.METHODS
    | gateway.METHODS
    | keeping.METHODS
    | publishing.METHODS
    | watching.METHODS
    | bans.METHODS
    | limits.METHODS
    | doctor.METHODS
    | devices.METHODS
    | dht.METHODS
    | forking.METHODS
    | deciding.METHODS
)
"""Every method by its name: `noun.verb` -> function(node, params, emit)."""


def methods(running: Node) -> dict[str, Method]:
    """The table, bound to a running node."""

    def bind(name: str) -> Method:
        async def call(values: dict[str, Any], emit: Emit) -> dict[str, Any]:
            check_rights(running, name, values)
            return await TABLE[name](running, Params(name, values), emit)

        return call

    return {name: bind(name) for name in TABLE}


def remote_methods(running: Node) -> dict[str, Method]:
    """The table for one's other devices: without what is done on the machine itself."""
    return {name: method for name, method in methods(running).items() if name not in ON_THE_MACHINE_ONLY}
