"""Methods about the node itself, its peers and its owner's names."""

from __future__ import annotations

import os

from p2pnode import __version__
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, NO_CIRCLE, id_text
from p2pnode.core.record import PROFILE
from p2pnode.core.records import make
from p2pnode.errors import UsageError
from p2pnode.ports import Emit, Json, Tx
from p2pnode.services.api.limits import describe
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.doctor import finding_json
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.reachability import as_json
from p2pnode.services.resolve import circle_name, find_circle

NAME_CHARACTERS = 100
ABOUT_CHARACTERS = 1000


async def status(node: Node, params: Params, emit: Emit) -> Json:
    """How the node is."""
    params.end()
    works, circles, stored = await node.store.read(lambda tx: (tx.count_works(), len(tx.circles()), tx.stored_bytes()))
    peers = node.network.peers()
    reach, standing = node.reachability.now()
    return {
        "peer_id": node.network.peer_id,
        "addresses": node.network.addresses(),
        "peers": len(peers),
        "works": works,
        "circles": circles,
        "offers": node.watching.offers(),
        "stored_bytes": stored,
        "quota_bytes": node.settings.quota_bytes,
        "version": __version__,
        "home": str(node.home.path),
        "uptime_s": round(node.clock() - node.started, 1),
        "reachability": standing.words,
        "reach": as_json(reach, standing),
        "health": None if (bad := node.doctor.health()) is None else finding_json(bad),
        "pid": os.getpid(),
        "traffic": describe(node),
        "remote": {"on": node.settings.remote, "sessions": node.devices.control.sessions},
    }


async def stop(node: Node, params: Params, emit: Emit) -> Json:
    """End the daemon, after this answer."""
    params.end()
    node.stop.set()
    return {}


async def peer_list(node: Node, params: Params, emit: Emit) -> Json:
    """Connected peers."""
    params.end()
    return {
        "items": [
            {
                "peer_id": peer.peer,
                "addresses": list(peer.addresses),
                "direction": peer.direction,
                "agent": peer.agent,
                "rtt_ms": None if peer.rtt_ms is None else round(peer.rtt_ms, 1),
                "way": peer.way,
            }
            for peer in node.network.peers()
        ]
    }


async def peer_connect(node: Node, params: Params, emit: Emit) -> Json:
    """Dial one address."""
    address = params.text("address", longest=500)
    params.end()
    return {"peer_id": await node.network.connect(address)}


async def identity_show(node: Node, params: Params, emit: Emit) -> Json:
    """Under which names one signs: the profile key, and the pseudonym of a circle."""
    wanted = params.optional_text("circle")
    params.end()

    def read(tx: Tx) -> Json:
        key = node.me.profile.public
        answer: Json = {"profile_key": id_text(KEY_PREFIX, key), "name": "", "about": ""}
        for profile in tx.records(NO_CIRCLE, kinds=[PROFILE], author=key)[-1:]:
            answer |= {"name": profile.fields["name"], "about": profile.fields["about"]}
        if wanted is not None:
            circle = find_circle(tx, wanted)
            answer |= {
                "circle": id_text(CIRCLE_PREFIX, circle),
                "circle_name": circle_name(tx, circle),
                "key": id_text(KEY_PREFIX, node.me.key(tx, circle).public),
            }
        return answer

    return await node.store.read(read)


async def identity_set(node: Node, params: Params, emit: Emit) -> Json:
    """Sign a new public profile: the name that stands beside the profile key."""
    name = params.text("name", longest=NAME_CHARACTERS).strip()
    about = params.text("about", "", longest=ABOUT_CHARACTERS)
    params.end()
    if not name:
        raise UsageError("a profile needs a name")
    now = node.clock()

    def write(tx: Tx) -> None:
        key = node.me.profile
        seq, created = tx.next_seq(key.public, now)
        fields = {"name": name, "about": about}
        record = make(key, PROFILE, circle=NO_CIRCLE, target=key.public, seq=seq, created=created, **fields)
        for older in tx.records(NO_CIRCLE, kinds=[PROFILE], author=key.public):
            tx.drop_record(older.id)
        tx.put_record(record, own=True)

    await node.store.write(write)
    return {"profile_key": id_text(KEY_PREFIX, node.me.profile.public), "name": name}


METHODS: dict[str, ApiMethod] = {
    "node.status": status,
    "node.stop": stop,
    "peer.list": peer_list,
    "peer.connect": peer_connect,
    "identity.show": identity_show,
    "identity.set": identity_set,
}
