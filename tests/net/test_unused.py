"""What a node never uses is not loaded, and nothing that it uses is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.network

CODE = """
import json, sys, trio
import p2pnode.daemon
from p2pnode.net.unused import MODULES, Unused
from tests.support.net import networks, link

async def main():
    async with networks(2) as (one, other):
        await link(one, other)

trio.run(main)
loaded = [name for name in ("requests", "httpx", "rich") if name in sys.modules]
print(json.dumps([loaded, all(isinstance(sys.modules[name], Unused) for name in MODULES)]))
"""
ROOT = Path(__file__).parents[2]


def test_a_node_loads_no_web_client() -> None:
    said = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    assert json.loads(said) == [[], True]


def test_whoever_imported_the_real_one_keeps_it() -> None:
    code = "import libp2p, p2pnode.net, sys; print(sys.modules['libp2p.security.tls.autotls.acme'].__file__)"
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    assert said.strip().endswith("acme.py")
