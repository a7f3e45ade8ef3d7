"""A node with limited rates and another without, in two network namespaces joined by a wire: what do the interface's counters say?

`python -m tests.support.limited_wire up|down BYTES_A_SECOND SECONDS` needs root, leaves nothing behind and prints one JSON object:
`rate` measured on the interface, `counted` (our count against the interface's) and `ping_s` (the slowest small request meanwhile).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import trio

from p2pnode.errors import NetworkError
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from tests.support.net import ECHO, NodeNet, echo

NEAR, FAR = "10.99.0.1", "10.99.0.2"
BULK = "/test/bulk/1"
SETTLE_S = 4.0
"""For the burst at the beginning: windows that stood open are filled once."""
PIECE = bytes(64 << 10)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def wire(stack: ExitStack) -> int:
    """This process gets a namespace of its own, with one end of the wire; the process that holds the other end is returned."""
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x4000_0000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "unshare")
    other = stack.enter_context(subprocess.Popen(["unshare", "-n", "sleep", "infinity"]))
    stack.callback(other.kill)
    while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)
    run("ip", "link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns", str(other.pid))
    inside = ("nsenter", "-t", str(other.pid), "-n")
    for prefix, name, address in (((), "near0", NEAR), (inside, "far0", FAR)):
        run(*prefix, "ip", "link", "set", name, "gso_max_segs", "1")  # segments as a network card would count them
        run(*prefix, "ip", "address", "add", f"{address}/24", "dev", name)
        run(*prefix, "ip", "link", "set", name, "up")
        run(*prefix, "ip", "link", "set", "lo", "up")
    return other.pid


def interface_bytes() -> tuple[int, int]:
    """Up and down, of this process's end of the wire."""
    line = next(line for line in Path("/proc/self/net/dev").read_text().splitlines() if "near0" in line)
    fields = line.partition(":")[2].split()
    return int(fields[8]), int(fields[0])


async def swallow(stream: Stream) -> None:
    while await stream.receive_some(1 << 18):
        pass


async def pour(stream: Stream) -> None:
    with suppress(NetworkError):
        while True:
            await stream.send_all(PIECE)


async def far_side() -> None:
    """The node without limits: takes what is poured, and pours for whoever asks."""
    async with NodeNet(2, listen=[f"/ip4/{FAR}/tcp/0"]).open() as network:
        network.serve(BULK, swallow)
        network.serve("/test/pour/1", pour)
        network.serve(ECHO, echo)
        print(network.addresses()[0], flush=True)
        await trio.sleep_forever()


async def near_side(address: str, direction: str, rate: int, seconds: float) -> dict[str, float]:
    """The limited one: what its interface, and its own count, say of `seconds` at full load."""
    async with NodeNet(1, listen=[f"/ip4/{NEAR}/tcp/0"]).open() as network, trio.open_nursery() as nursery:
        peer = await network.connect(address)
        network.meter.limit(*((rate, 0) if direction == "up" else (0, rate)))
        bulk = await network.open_stream(peer, BULK if direction == "up" else "/test/pour/1")
        nursery.start_soon(pour if direction == "up" else swallow, bulk)
        await bulk.send_all(b"!")
        await trio.sleep(SETTLE_S)
        slowest = [0.0]
        nursery.start_soon(ping, network, await network.open_stream(peer, ECHO), slowest)
        side = 0 if direction == "up" else 1
        began, before, own = time.perf_counter(), interface_bytes()[side], network.meter.counted()[side]
        await trio.sleep(seconds)
        gone = interface_bytes()[side] - before
        took_s, counted = time.perf_counter() - began, network.meter.counted()[side] - own
        nursery.cancel_scope.cancel()
    return {"rate": gone / took_s, "counted": counted / gone, "ping_s": slowest[0]}


async def ping(network: Libp2pNetwork, stream: Stream, slowest: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await stream.send_all(b"ping")
        await stream.receive_some(4)
        slowest[0] = max(slowest[0], time.perf_counter() - began)
        await trio.sleep(0.2)


def main(direction: str, rate: str, seconds: str) -> None:
    with ExitStack() as stack:
        pid = wire(stack)
        command = ["nsenter", "-t", str(pid), "-n", sys.executable, "-m", "tests.support.limited_wire", "far"]
        far = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(far.kill)
        assert far.stdout is not None
        address = far.stdout.readline().strip()
        print(json.dumps(trio.run(near_side, address, direction, int(rate), float(seconds))))


if __name__ == "__main__":
    if sys.argv[1] == "far":
        trio.run(far_side)
    else:
        main(*sys.argv[1:])
