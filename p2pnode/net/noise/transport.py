"""The door that libp2p knows (ISecureTransport for /noise): its own handshake, then our session.

The handshake is a handful of small messages and stays libp2p's, with its checks of who the peer is. What it agreed on (two keys)
is taken out of it, and from the first message after it everything goes through `session`.
"""

from __future__ import annotations

from typing import Any

from libp2p.security.noise.transport import Transport
from libp2p.security.secure_session import SecureSession

from p2pnode.net.noise.messages import Opener, Sealer
from p2pnode.net.noise.session import NoiseSession


class NoiseTransport(Transport):  # type: ignore[misc]  # libp2p is not checked
    """Noise XX with Ed25519 identities, as every libp2p speaks it."""

    async def secure_inbound(self, conn: Any) -> NoiseSession:
        """The handshake of who was dialled. libp2p's errors."""
        return _session(conn, await super().secure_inbound(conn))

    async def secure_outbound(self, conn: Any, peer_id: Any) -> NoiseSession:
        """The handshake of who dials; `peer_id` is who must answer. libp2p's errors."""
        return _session(conn, await super().secure_outbound(conn, peer_id))


def _session(conn: Any, done: SecureSession) -> NoiseSession:
    agreed = done.conn.noise_state.noise_protocol
    out, back = agreed.cipher_state_encrypt, agreed.cipher_state_decrypt
    return NoiseSession(
        conn,
        Sealer(out.k, out.n),
        Opener(back.k, back.n),
        local_peer=done.local_peer,
        local_private_key=done.local_private_key,
        remote_peer=done.remote_peer,
        remote_permanent_pubkey=done.remote_permanent_pubkey,
        is_initiator=done.is_initiator,
    )
