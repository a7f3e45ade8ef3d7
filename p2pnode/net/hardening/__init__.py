"""The mends of libp2p 0.8.1: each defect one function, applied once, before the first host is built.

Every function names the defect and the lines of the 0.8.1 wheel; `tests/net/test_mends.py` shows each defect on the stock
library and its absence here. Called by `net.host`; nothing else in the project touches libp2p's insides.
"""

from __future__ import annotations

from p2pnode.net.hardening import listening, logs, muxer, peerstore, swarm, throughput

_MENDS = (
    logs.silence_libp2p,
    listening.listen_exclusively,
    swarm.hold_inbound_slot_while_connected,
    swarm.never_dial_from_inside,
    swarm.hand_streams_on,
    peerstore.never_evict_own_keys,
    muxer.use_our_yamux,
    throughput.use_our_sockets,
)
_done = False


def harden() -> None:
    """Apply every mend to the libp2p of this process, once."""
    global _done
    if not _done:
        _done = True
        for mend in _MENDS:
            mend()
