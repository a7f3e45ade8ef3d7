"""The numbers that the page about Bitswap gives are the program's."""

from __future__ import annotations

import pytest

from p2pnode.core import bitswap_ledger as ledger
from p2pnode.core import bitswap_messages as messages
from p2pnode.limits import KIB, MAX_BLOCK_BYTES, MIB, PROVIDE_INTERVAL_S
from p2pnode.net import ipfs_dht
from p2pnode.services import bitswap, bitswap_ask, bitswap_serve, bitswap_streams, swarm
from tests.test_docs import flat, spelled

SAID = [
    f"| message; a block in it | {messages.MAX_MESSAGE_BYTES // MIB} MiB; {MAX_BLOCK_BYTES // MIB} MiB |",
    f"fields of a message | {spelled(messages.MAX_ENTRIES)}; {spelled(messages.MAX_FIELDS)} |",
    f"| {spelled(ledger.MAX_WANTS_PER_PEER)}; {spelled(ledger.MAX_WANTS)}; {ledger.MIN_WANTS_PER_PEER} |",
    f"| wants for what we lack, kept of one peer | {ledger.MAX_WAITING_PER_PEER} |",
    f"of each version | {bitswap.STREAMS_PER_PEER} |",
    f"| messages over {bitswap_streams.SMALL_BYTES // KIB} KiB worked on at a time",
    f"we asked nothing | {bitswap_streams.LARGE_PER_PEER}; {bitswap_streams.LARGE_UNASKED} |",
    f"unless one block is larger | {bitswap_serve.MESSAGE_BYTES // MIB} MiB |",
    f"of slow ones among them | {bitswap_serve.TURNS}; {bitswap_serve.SLOW_TURNS} |",
    f"their bytes | {bitswap_ask.MAX_OUTSTANDING}; {bitswap_ask.MIN_WINDOW_BYTES // MIB} to"
    f" {bitswap_ask.MAX_WINDOW_BYTES // MIB} MiB |",
    f"given up after {bitswap_streams.IDLE_S:g} s without a message",
    f"come at {bitswap_streams.MIN_RATE_BYTES_S // KIB} KiB/s, with no pause over {bitswap_streams.PATIENCE_S:g} s,"
    f" and be taken within {bitswap_serve.SEND_TIMEOUT_S:g} s",
    f"a stream that we open, kept for {bitswap_streams.KEPT_S:g} s",
    f"a block of at most {spelled(bitswap_serve.BLOCK_INSTEAD_OF_HAVE_BYTES)} bytes is answered by the block",
    f"looked for again every {bitswap_serve.LOOK_AGAIN_S:g} s",
    f"needed over {bitswap_serve.SLOW_S:g} s for a message is slow for {bitswap_serve.SLOW_FOR_S:g} s",
    f"After {bitswap_serve.MAX_FAILURES} messages that could not be sent",
    f"ends the provider for this fetch ({swarm.LIE_POINTS} points)",
    f"costs it {bitswap.UNASKED_POINTS} points a message",
    f"up to {bitswap_ask.RETRIED_TOGETHER} of them are each cancelled",
    f"after {bitswap_ask.MAX_TRIES} tries the provider counts as lacking them; {bitswap_ask.PATIENCE_S:g} s of silence",
    f"A malformed message costs {bitswap.MALFORMED_POINTS} points",
    f"every {PROVIDE_INTERVAL_S // 3600} h",
    f"closed {ipfs_dht.IDLE_S:g} s after their last use",
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said[:40])
def test_limits_of_bitswap_are_the_programs(said: str) -> None:
    assert said in flat("protocol-bitswap.md")
