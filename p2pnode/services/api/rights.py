"""What a method may do where: a device that signs nothing in circles refuses to, and the list of devices changes on the machine itself.

The table of methods is one for everybody; this is the check in front of it. Called by `services.api` for every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from p2pnode.services.node import Node

SIGNING: Final = frozenset(
    {
        *("circle.create", "circle.fork", "circle.invite", "circle.join", "vouch.give", "vouch.revoke", "ballot.cast"),
        *("proposal.open", "proposal.withdraw"),
    }
)
"""Methods whose work is a signature in a circle."""
SIGNING_WITH_CIRCLE: Final = frozenset({"work.publish", "car.import"})
"""Methods that sign in a circle when they name one."""
ON_THE_MACHINE_ONLY: Final = frozenset(
    {"device.accept", "device.pair", "device.rename", "device.revoke", "device.leave"}
)
"""Methods that a device which drives this node may not call: one that is lost could else let another one in before it is revoked."""


def check_rights(node: Node, method: str, values: Mapping[str, Any]) -> None:
    """RefusedError when this machine was not certified for what the call would sign."""
    if method in SIGNING or (method in SIGNING_WITH_CIRCLE and values.get("circle")):
        node.devices.refuse_signing()
