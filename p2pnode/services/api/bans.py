"""Methods about peers that are refused for a while because they broke rules."""

from __future__ import annotations

from p2pnode.core.ids import PeerId
from p2pnode.errors import NotFoundError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params

PEER_ID_CHARACTERS = 100


async def list_bans(node: Node, params: Params, emit: Emit) -> Json:
    """Peers that are banned now."""
    params.end()
    now = node.clock()
    return {
        "items": [
            {
                "peer_id": ban.peer,
                "reason": ban.reason,
                "until": ban.until,
                "left_s": round(max(0.0, ban.until - now), 1),
            }
            for ban in node.network.banned()
        ]
    }


async def lift_ban(node: Node, params: Params, emit: Emit) -> Json:
    """End a ban before its time."""
    peer = PeerId(params.text("peer", longest=PEER_ID_CHARACTERS).strip())
    params.end()
    if not node.network.lift_ban(peer):
        raise NotFoundError(f"{peer} is not banned", hint="p2pnode peers bans lists who is")
    return {"peer_id": peer}


METHODS: dict[str, ApiMethod] = {"peer.bans": list_bans, "peer.unban": lift_ban}
