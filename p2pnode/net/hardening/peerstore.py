"""Mend: the peer store evicts our own keys."""

from __future__ import annotations

from typing import Any


def never_evict_own_keys() -> None:
    """Evict the longest unseen strangers, never the entry that holds a private key.

    Defect: past 1000 known peers the store drops entries without addresses first, and our own has none: the node then cannot
    sign any more (`peer/peerstore.py:201`). One FIND_NODE answer with 1200 peers does it from afar.
    """
    from libp2p.peer.peerstore import PeerStore

    def enforce(self: Any) -> None:
        excess = len(self.peer_data_map) - self.max_peers
        if excess <= 0:
            return
        strangers = [
            (bool(data.get_addrs()) and not data.is_expired(), data.last_identified, peer)
            for peer, data in self.peer_data_map.items()
            if data.privkey is None
        ]
        strangers.sort(key=lambda entry: entry[:2])
        for _, _, peer in strangers[:excess]:
            self.peer_record_map.pop(peer, None)
            del self.peer_data_map[peer]

    PeerStore._enforce_peer_limit = enforce
