"""Limits that more than one room keeps, each with its unit and its reason. Imports nothing.

A limit that belongs to one format or one module stands there; limits of a wire format are part of the protocol document.
"""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

LEAF_BYTES = MIB
"""Bytes of a full leaf: the profile unixfs-v1-2025 (design: the same CIDs as stock IPFS)."""
MAX_BLOCK_BYTES = 2 * MIB
"""Bytes of any block we take: twice our leaf, the limit the rest of IPFS keeps."""
SMALL_LEAF_BYTES = 64 * KIB
"""A fetched leaf up to this size is kept as a row: ten thousand tiny files must not be ten thousand inodes."""

DIAL_TIMEOUT_S = 8.0
"""All addresses of a peer together; longer only helps peers that will not do anyway."""
SEARCH_TIMEOUT_S = 5.0
"""Default of `search --timeout`: what a person waits for before reading what is there."""
SEARCH_PEERS = 32
"""Peers asked by one search, one hop: enough for a circle, too few to flood anybody."""
SEARCH_HITS = 50
"""Hits in one peer's answer."""
SEARCH_ANSWER_BYTES = 64 * KIB
"""Bytes of one peer's answer."""
WORDS_PER_WORK = 8
"""Title words and tags under which one work is provided: each costs DHT traffic at every re-provide."""
PROVIDE_INTERVAL_S = 22 * 3600
"""Re-provide before the 24 h after which other nodes forget (libp2p Kademlia)."""
LIBRARY_QUOTA_BYTES = 50 * GIB
"""Default of `quota_bytes`: what the store may own."""
DISK_FLOOR_BYTES = GIB
"""Free bytes that are always left on the disk: a full disk breaks more than this node."""
