"""Many namespaces on one far network, in user space: every packet from one to another takes the same time, whoever they are.

One TUN device in each namespace, all read here: a packet goes to the namespace of its destination after the delay. A namespace can be cut
off: its packets vanish, both ways, and nobody is told. Addresses are 10.77.X.Y, one /16.
Run by `tests.support.far_net`: slow_hub.py DELAY_MS NS...; the n-th namespace gets number n. "cut N" on stdin cuts one off, "count" tells
packets and bytes so far; it ends with its stdin.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque

if __package__:
    from tests.support.slow_link import DEVICE_QUEUE, MTU, READ_AT_ONCE
else:
    sys.path.insert(0, os.path.dirname(__file__))
    from slow_link import DEVICE_QUEUE, MTU, READ_AT_ONCE

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NETWORK = "10.77"


def address_of(number: int) -> str:
    """Of the n-th namespace, from 0."""
    return f"{NETWORK}.{(number + 1) >> 8}.{(number + 1) & 255}"


def open_tun(namespace: str, number: int) -> int:
    """A device in the namespace through which it reaches all others."""

    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"h{os.getpid() % 100_000}-{number}"
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    for command in (
        ["ip", "link", "set", name, "netns", namespace],
        ["ip", "-n", namespace, "address", "add", f"{address_of(number)}/16", "dev", name],
        ["ip", "-n", namespace, "link", "set", name, "mtu", str(MTU), "txqueuelen", str(DEVICE_QUEUE), "up"],
    ):
        subprocess.run(command, check=True, timeout=20)
    return device


class SlowHub:
    """All devices, and what is on its way between them."""

    def __init__(self, devices: list[int], delay_s: float) -> None:
        self._by_host = {(number + 1).to_bytes(2, "big"): device for number, device in enumerate(devices)}
        self._delay_s = delay_s
        self._cut: set[int] = set()
        self._flying: deque[tuple[float, int, bytes]] = deque()
        self.packets = self.bytes = 0

    def cut(self, number: int) -> None:
        self._cut.add(self._by_host[(number + 1).to_bytes(2, "big")])

    def take(self, source: int, now: float) -> None:
        for _ in range(READ_AT_ONCE):
            try:
                packet = os.read(source, 65536)
            except BlockingIOError:
                return
            sink = self._by_host.get(packet[18:20]) if packet[0] >> 4 == 4 else None
            if sink is not None and sink not in self._cut and source not in self._cut:
                self._flying.append((now + self._delay_s, sink, packet))
                self.packets += 1
                self.bytes += len(packet)

    def deliver(self, now: float) -> float:
        """Write what has arrived; seconds until the next one does, at most 1."""
        flying = self._flying
        while flying and flying[0][0] <= now:
            _, sink, packet = flying.popleft()
            if sink not in self._cut:
                try:
                    os.write(sink, packet)
                except OSError:
                    continue  # the other end is not up any more
        return min(max(0.0, flying[0][0] - now), 1.0) if flying else 1.0


def main() -> None:
    delay_ms, namespaces = float(sys.argv[1]), sys.argv[2:]
    devices = [open_tun(namespace, number) for number, namespace in enumerate(namespaces)]
    hub = SlowHub(devices, delay_ms / 1000)
    poll = select.epoll()
    for file in [*devices, 0]:
        poll.register(file, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        wait_s = hub.deliver(time.monotonic())
        for file, _ in poll.poll(wait_s):
            if file:
                hub.take(file, time.monotonic())
                continue
            words = sys.stdin.readline().split()
            if not words:
                return
            if words[0] == "cut":
                hub.cut(int(words[1]))
            print("done" if words[0] == "cut" else f"{hub.packets} {hub.bytes}", flush=True)


if __name__ == "__main__":
    main()
