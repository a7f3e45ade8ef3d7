"""Hearing from one provider what it has of the content that we fetch: the asking side of `/p2pnode/have/1`. Called by services.swarm.

A peer that does not speak it, or has nothing to tell, is a provider all the same: what it lacks shows block by block.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.have_messages import MAX_ANSWER_BYTES, PROTOCOL, Extent, Holding, encode_ask
from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.ports import Network
from p2pnode.services.framing import receive_frame, send_frame

OPEN_TIMEOUT_S = 15.0
SILENCE_S = 120.0
"""Seconds without news after which the stream is opened anew."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 300.0
"""Seconds before a peer that had nothing to tell, or could not be asked, is asked again; doubled each time."""
CLOSE_TIMEOUT_S = 1.0

OnTold = Callable[[PeerId, Holding], None]


async def hear(network: Network, root: Cid, peer: PeerId, on_told: OnTold) -> None:
    """Until cancelled. PeerError when it broke the rules."""
    pause_s = FIRST_PAUSE_S
    while True:
        heard = False
        try:
            heard = await _listen(network, root, peer, on_told)
        except NetworkError:
            pass
        except DecodeError as error:
            raise PeerError(f"a malformed map: {error.message}") from error
        pause_s = FIRST_PAUSE_S if heard else min(2 * pause_s, LONGEST_PAUSE_S)
        await trio.sleep(pause_s)


async def _listen(network: Network, root: Cid, peer: PeerId, on_told: OnTold) -> bool:
    """One stream's life; whether there was something to hear."""
    stream = await network.open_stream(peer, PROTOCOL, timeout_s=OPEN_TIMEOUT_S)
    heard = False
    try:
        await send_frame(stream, encode_ask(root))
        while True:
            frame = None
            with trio.move_on_after(SILENCE_S):
                frame = await receive_frame(stream, MAX_ANSWER_BYTES)
            if frame is None:
                return heard
            holding = Holding.from_bytes(frame)
            heard = heard or holding.extent is not Extent.NOTHING
            on_told(peer, holding)
    finally:
        with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT_S, shield=True):
            await stream.aclose()
