"""Valid messages of the small protocols of a node, for `rubbish` to mutate: probes, maps, machines, relays, punching, dial-backs, pushes.

Every one has its frame. What is asked about exists nowhere, and addresses lead to a closed port of this machine.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from p2pnode.core import device_messages, device_state, have_messages, probe_messages
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.device import certify
from p2pnode.core.device_roles import ROLES
from p2pnode.core.ids import PeerId
from p2pnode.core.keys import KeyPair
from p2pnode.net import identify
from p2pnode.net.nat import dialback_messages
from p2pnode.net.punch import messages as punch_messages
from p2pnode.net.relay import messages as relay_messages
from p2pnode.services.devices_control import CONTROL_PROTOCOL
from p2pnode.services.framing import HEAD

NOWHERE = "/ip4/127.0.0.1/tcp/9"


def _framed(payload: bytes) -> bytes:
    return HEAD.pack(len(payload)) + payload


class Doors:
    """The messages that `me` could honestly send to `victim`."""

    def __init__(self, rng: random.Random, me: PeerId, victim: PeerId) -> None:
        self._rng, self._me, self._victim = rng, me, victim
        self.messages: dict[str, Callable[[], bytes]] = {
            probe_messages.PROTOCOL: self._probe,
            have_messages.PROTOCOL: lambda: _framed(have_messages.encode_ask(self._cid())),
            device_state.DEVICES_PROTOCOL: self._devices,
            device_messages.PAIR_PROTOCOL: self._pairing,
            CONTROL_PROTOCOL: self._control,
            relay_messages.HOP_PROTOCOL: self._hop,
            relay_messages.STOP_PROTOCOL: self._stop,
            punch_messages.PROTOCOL: lambda: punch_messages.encode(rng.choice(("CONNECT", "SYNC")), self._addresses()),
            dialback_messages.PROTOCOL: lambda: dialback_messages.encode_request(self._peer(), self._addresses()),
            identify.PUSH_PROTOCOL: self._push,
        }

    def _cid(self) -> Cid:
        return Cid.of(RAW, self._rng.randbytes(8))

    def _peer(self) -> PeerId:
        return self._rng.choice((self._me, self._me, self._victim))

    def _addresses(self) -> list[str]:
        return [NOWHERE] * self._rng.choice((0, 1, 8, 20))

    def _probe(self) -> bytes:
        cid = self._cid()
        asks = (
            probe_messages.Ask(),
            probe_messages.Ask(cid, cid),
            probe_messages.Ask(key=self._rng.randbytes(probe_messages.KEY_BYTES)),
        )
        return _framed(self._rng.choice(asks).to_bytes())

    def _devices(self) -> bytes:
        key, rng = KeyPair(self._rng.randbytes(32)), self._rng
        certificate = certify(key, self._peer(), "desk", ROLES, seq=rng.randrange(2**40))
        entry = device_state.sign_entry(key, "mark/hide/w", rng.randbytes(rng.choice((0, 32))), rng.randrange(2**40))
        pages = device_state.encode_pages([certificate.data], [entry.data] * rng.choice((1, 30)))
        return _framed(device_state.encode_hello(rng.randbytes(32))) + b"".join(map(_framed, pages))

    def _pairing(self) -> bytes:
        element = bytes([self._rng.choice(b"ABS\0")]) + self._rng.randbytes(device_messages.ELEMENT_BYTES - 1)
        confirm = device_messages.encode_confirm(self._rng.randbytes(device_messages.CONFIRM_BYTES), "desk")
        return _framed(device_messages.encode_element(element)) + _framed(confirm)

    def _control(self) -> bytes:
        method = self._rng.choice(("status", "stop", "work.search", "peer.list"))
        return json.dumps({"id": 1, "method": method, "params": {}}).encode() + b"\n"

    def _hop(self) -> bytes:
        kind = self._rng.choice(("RESERVE", "CONNECT", "STATUS"))
        return relay_messages.encode_hop(relay_messages.HopMessage(kind, peer=self._peer()))

    def _stop(self) -> bytes:
        limit = relay_messages.Limit(duration_s=self._rng.randrange(2**32), data_bytes=self._rng.randrange(2**40))
        kind = self._rng.choice(("CONNECT", "STATUS"))
        return relay_messages.encode_stop(relay_messages.StopMessage(kind, peer=self._peer(), limit=limit))

    def _push(self) -> bytes:
        protocols = [f"/x/{number}" for number in range(self._rng.choice((0, 5, 500)))]
        return identify.encode(self._rng.randbytes(36), self._addresses(), protocols, NOWHERE)
