"""Mend: libp2p's Yamux, replaced whole by ours (`net.yamux`)."""

from __future__ import annotations

from p2pnode.net.yamux.connection import Yamux


def use_our_yamux() -> None:
    """Carry streams with our own engine.

    Defect: libp2p's keeps bytes beyond the receive window (`stream_muxer/yamux/yamux.py:1346, 1546`), breaks the stream of a reader
    that pauses for 5 s (`:285`), lets a reset or a lost connection look like a clean end (`:579, 1060, 1440`), leaves half a frame
    on the wire when a write is cancelled (`:866`), loses bytes when a read is (`:597`), and keeps a peer that went silent (`:711`).
    The `muxer_opt` of a host is ignored for /yamux/1.0.0 (`stream_muxer/muxer_multistream.py:137`): this name is the place.
    """
    from libp2p.stream_muxer import muxer_multistream

    muxer_multistream.Yamux = Yamux
