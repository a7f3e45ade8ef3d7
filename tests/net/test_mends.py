"""The mends of libp2p 0.8.1: each defect on the stock library, and its absence on ours.

The scenarios are in tests/support/net_defects.py and run in two processes, one without anything of ours and one with it.
When a new libp2p makes a "stock" outcome false, its mend can go.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from p2pnode.net import hardening

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240

# scenario -> (outcome on stock libp2p 0.8.1, outcome on ours)
OUTCOMES: dict[str, tuple[Any, Any]] = {
    "inbound_slots_come_back": (3, 8),
    "plaintext_is_offered": (True, False),
    "a_failing_handler": ("dead", "alive"),
    "a_multistream_string_that_is_not_utf8": ("dead", "alive"),
    "a_gossip_frame_of_garbage": ("dead", "alive"),
    "a_gossip_message_with_a_garbage_key": ("dead", "alive"),
    "own_key_after_1200_peers": (False, True),
    "bytes_taken_beyond_the_window": (32, 0),
    "a_reader_that_pauses_six_seconds": ("broken", "written"),
    "a_lost_connection_looks_like": ("end", "error"),
    "a_reset_on_arrival_looks_like": ("end", "error"),
    "connections_closed_at_once": (1, 5),
    "dead_address_before_a_good_one": ("failed", "connected"),
    "dht_protocol": (["/ipfs/kad/1.0.0"], ["/test/kad/1.0.0"]),
    "provider_records_kept_of_15": ("under 15", 15),
    "gossip_delivered_of_200": ("under 200", 200),
    "validator_asked_again_after_a_refusal": (False, True),
    "address_kept_after_connecting": (False, True),
    "another_muxer_is_used": (False, True),
    "opening_streams_without_end": ("waits for ever", "NetworkError"),
    "the_remote_key_is_its_identity": (False, True),
    "mdns_starts_on_the_loop": (True, False),
    "two_nodes_on_one_port": (True, False),
    "a_connection_after_a_cancelled_write": ("broken", "works"),
    "a_silent_peer_after_a_while": ("connected", "dropped"),
    "bytes_after_a_cancelled_read": ("lost", "whole"),
    "handlers_on_the_root_logger": (1, 0),
    "gossip_cache_knows_our_message_ids": (False, True),
}


def run(library: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.net_defects", library]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """Both runs beside each other: they wait more than they work."""
    processes = {library: run(library) for library in ("stock", "ours")}
    try:
        return {library: json.loads(one.communicate(timeout=TIMEOUT_S)[0]) for library, one in processes.items()}
    finally:
        for one in processes.values():
            one.kill()


@pytest.mark.parametrize("name", OUTCOMES)
def test_defect_and_mend(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    stock, ours = OUTCOMES[name]
    if isinstance(stock, str) and stock.startswith("under "):
        assert outcomes["stock"][name] < int(stock.removeprefix("under "))
    else:
        assert outcomes["stock"][name] == stock
    assert outcomes["ours"][name] == ours


def test_every_scenario_is_judged(outcomes: dict[str, dict[str, Any]]) -> None:
    assert set(outcomes["stock"]) == set(outcomes["ours"]) == set(OUTCOMES)


def test_the_mends_are_for_this_version() -> None:
    assert version("libp2p") == "0.8.1"


def test_every_mend_names_its_defect() -> None:
    for mend in hardening._MENDS:
        assert "Defect: " in (mend.__doc__ or "") and ".py" in (mend.__doc__ or ""), mend
