"""Parts of libp2p that this node never uses and that cost much to load, replaced by empty ones before anything of libp2p is imported.

Called when `p2pnode.net` is imported. Knows nothing of libp2p but the names of these modules.
"""

from __future__ import annotations

import sys
import types

MODULES = ("libp2p.security.tls.autotls.acme", "libp2p.security.tls.autotls.broker")
"""A client for certificates of the web, for TLS, which is never offered here (`host/basic_host.py:102`). It brings requests, httpx and
rich: 10 MiB and two hundred modules, in every node."""


class Unused(types.ModuleType):
    """A module that has every name and does nothing by any of them."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def leave_out() -> None:
    """Put empty modules in their places. What somebody has imported already stays as it is."""
    for name in MODULES:
        sys.modules.setdefault(name, Unused(name))
