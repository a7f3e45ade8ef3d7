"""What a thousand nodes in one process need not do a thousand times: check a signature, unpack a body.

Only as long as a simulation runs. The answers are the same as without it: a signature is right or wrong, a body has its fields, whoever
asks. Nodes share the values, and with them the memory; their stores and everything they decide stay their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from p2pnode.core import records
from p2pnode.core.record import Record
from p2pnode.store import tx_records

REMEMBERED = 1 << 18
"""Signatures and records kept: more than a simulated week makes."""


@contextmanager
def shared_work() -> Iterator[None]:
    """Verify every signature once, and make every record once, for all nodes of this process."""
    codec: Any = records
    rows: Any = tx_records
    verify, decode, record_of = codec.verify, codec.decode_body, rows.record_of
    once = lru_cache(REMEMBERED)(verify)
    bodies = lru_cache(REMEMBERED)(decode)

    @lru_cache(REMEMBERED)
    def made(id: bytes, sig: bytes, body: bytes) -> Record:
        return record_of(id, sig, body)  # type: ignore[no-any-return]

    codec.verify, codec.decode_body, rows.record_of = once, bodies, made
    try:
        yield
    finally:
        codec.verify, codec.decode_body, rows.record_of = verify, decode, record_of
