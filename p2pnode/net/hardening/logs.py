"""Mend: libp2p writes tracebacks to stderr and installs handlers on the root logger."""

from __future__ import annotations

import logging

CHATTY = ("libp2p", "zeroconf", "multiaddr", "async_service")


def silence_libp2p() -> None:
    """Keep libp2p's own messages out of our output.

    Defect: `network/connection/swarm_connection.py` calls `logging.debug()` of the module, which runs `basicConfig()` and puts a
    stderr handler on the root logger; and 0.8.1 logs tracebacks for every peer that hangs up (`network/swarm.py:2707`).
    What matters of it reaches our own log as errors of `p2pnode.net`.
    """
    from libp2p.network.connection import swarm_connection

    for name in CHATTY:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    swarm_connection.logging = logging.getLogger("libp2p.network.connection")
