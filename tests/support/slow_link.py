"""A slow link between two namespaces, in user space: what `tc netem` does, for kernels without it (CONFIG_NET_SCH_NETEM).

Two TUN devices, one in each namespace; every packet that comes out of one goes into the other after the bottleneck's queue (a rate, a
number of packets, the next is dropped) and the delay, unless it is lost. Losses are drawn from a seed, apart for each direction.
Run by `netns`: slow_link.py NS ADDRESS NS ADDRESS DELAY_MS RATE_MBIT LOSS QUEUE_PACKETS SEED. Ends with its stdin.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque

MTU = 1500
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
DEVICE_QUEUE = 5000
"""Packets that the kernel keeps for us while we are busy; the bottleneck's queue is the one that counts."""
READ_AT_ONCE = 64


def open_tun(namespace: str, address: str, other: str) -> int:
    """A TUN device in a namespace, up, with a route to the other end."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"t{os.getpid() % 100_000}-{device}"
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    for command in (
        ["ip", "link", "set", name, "netns", namespace],
        ["ip", "-n", namespace, "address", "add", address, "peer", other, "dev", name],
        ["ip", "-n", namespace, "link", "set", name, "mtu", str(MTU), "txqueuelen", str(DEVICE_QUEUE), "up"],
    ):
        subprocess.run(command, check=True, timeout=20)
    return device


class Direction:
    """One way through the link."""

    def __init__(self, source: int, sink: int, delay_s: float, rate: float, loss: float, queue: int, seed: int) -> None:
        self.source, self.sink = source, sink
        self._delay, self._rate, self._loss, self._queue = delay_s, rate, loss, queue
        self._random = random.Random(seed)
        self._leaves: deque[float] = deque()  # when those at the bottleneck will have left it
        self._flying: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def take(self, now: float) -> None:
        """Read what came, and let it queue, be lost, or fly."""
        for _ in range(READ_AT_ONCE):
            try:
                packet = os.read(self.source, 65536)
            except BlockingIOError:
                return
            while self._leaves and self._leaves[0] <= now:
                self._leaves.popleft()
            if self._random.random() < self._loss or len(self._leaves) >= self._queue:
                continue
            self._free_at = max(now, self._free_at) + len(packet) / self._rate
            self._leaves.append(self._free_at)
            self._flying.append((self._free_at + self._delay, packet))

    def deliver(self, now: float) -> float:
        """Write what has arrived; when the next one will, or infinity."""
        while self._flying and self._flying[0][0] <= now:
            try:
                os.write(self.sink, self._flying.popleft()[1])
            except (BlockingIOError, OSError):
                continue  # the other end is not up any more
        return self._flying[0][0] if self._flying else float("inf")


def main() -> None:
    left_namespace, left, right_namespace, right = sys.argv[1:5]
    delay_ms, rate_mbit, loss, queue, seed = map(float, sys.argv[5:])
    ends = open_tun(left_namespace, left, right), open_tun(right_namespace, right, left)
    bytes_per_s = rate_mbit * 1e6 / 8
    ways = [
        Direction(source, sink, delay_ms / 1000, bytes_per_s, loss, int(queue), int(seed) + number)
        for number, (source, sink) in enumerate((ends, ends[::-1]))
    ]
    print("ready", flush=True)
    by_source = {way.source: way for way in ways}
    while True:
        now = time.monotonic()
        due = min(way.deliver(now) for way in ways)
        readable, _, _ = select.select([*by_source, 0], [], [], max(0.0, min(due - now, 1.0)))
        if 0 in readable:
            return
        now = time.monotonic()
        for source in readable:
            by_source[source].take(now)


if __name__ == "__main__":
    main()
