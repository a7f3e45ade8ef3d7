"""Networks of our own on one machine: namespaces joined by cables, or by a slow link with delay, loss and a rate (`slow_link`).

Needs root on Linux with `ip` and, for slow links, /dev/net/tun; `why_not` says what is missing. Everything goes with `Namespaces`.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

TIMEOUT_S = 20.0
SLOW_LINK = Path(__file__).with_name("slow_link.py")
_numbers = itertools.count(1)


def why_not() -> str:
    """Why no namespaces can be made here; "" if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if not shutil.which("ip"):
        return "there is no `ip` here (Debian: apt install iproute2)"
    name = f"p2pn-{os.getpid()}-0"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if made.returncode:
        return f"network namespaces are not allowed here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], timeout=TIMEOUT_S, check=False)
    return ""


def needed(*, tun: bool = False) -> None:
    """Skip the test where networks of our own cannot be made."""
    reason = why_not()
    if not reason and tun and not Path("/dev/net/tun").exists():
        reason = "there is no /dev/net/tun here"
    if reason:
        pytest.skip(reason)


@dataclass(frozen=True)
class Link:
    """What a slow link does to packets, each way. `delay_ms` is one way: half of what it adds to a round trip."""

    delay_ms: float
    rate_mbit: float
    loss: float = 0.0
    queue_packets: int = 100
    """Wait at the bottleneck; the next one is dropped."""
    seed: int = 1


class Namespaces:
    """Some namespaces with `lo` up; `within` makes a command run in one."""

    def __init__(self, count: int) -> None:
        self.names = [f"p2pn-{os.getpid()}-{next(_numbers)}" for _ in range(count)]
        self._stack = ExitStack()

    def __enter__(self) -> Namespaces:
        try:
            for name in self.names:
                self._make(name)
        except BaseException:
            self._stack.close()
            raise
        return self

    def add(self) -> int:
        """One more, while they are there; its number."""
        name = f"p2pn-{os.getpid()}-{next(_numbers)}"
        self._make(name)
        self.names.append(name)
        return len(self.names) - 1

    def _make(self, name: str) -> None:
        run_ip("netns", "add", name)
        self._stack.callback(_remove, name)
        run_ip("-n", name, "link", "set", "lo", "up")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def within(self, number: int) -> tuple[str, ...]:
        """What to put before a command."""
        return ("ip", "netns", "exec", self.names[number])

    def set(self, number: int, setting: str, value: str) -> bool:
        """A sysctl of the namespace; False if this kernel does not have it."""
        command = [*self.within(number), "sysctl", "-qw", f"{setting}={value}"]
        return not subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False).returncode

    def cable(self, left: int, left_address: str, right: int, right_address: str) -> None:
        """Join two by a cable, with an address ("10.1.0.1/24") at each end."""
        ends = [f"v{next(_numbers)}-{os.getpid()}"[:15] for _ in range(2)]
        run_ip(
            "link",
            "add",
            ends[0],
            "netns",
            self.names[left],
            "type",
            "veth",
            "peer",
            ends[1],
            "netns",
            self.names[right],
        )
        for number, end, address in ((left, ends[0], left_address), (right, ends[1], right_address)):
            run_ip("-n", self.names[number], "address", "add", address, "dev", end)
            run_ip("-n", self.names[number], "link", "set", end, "up")

    def slow_link(self, left: int, left_address: str, right: int, right_address: str, link: Link) -> None:
        """Join two by a slow link, with an address ("10.1.0.1") at each end. Its process ends with this object."""
        options = [link.delay_ms, link.rate_mbit, link.loss, link.queue_packets, link.seed]
        ends = [self.names[left], left_address, self.names[right], right_address]
        process = subprocess.Popen(
            [sys.executable, str(SLOW_LINK), *ends, *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(_end, process)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise AssertionError("the slow link could not be made")


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def sweep() -> None:
    """Remove what tests left that were killed: namespaces that name a process which is no more, and what still runs in them."""
    said = subprocess.run(
        ["ip", "netns", "list"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    ).stdout
    for name in re.findall(r"^(p2pn-\d+-\d+)", said, re.MULTILINE):
        if not Path("/proc", name.split("-")[1]).exists():
            _remove(name)


def _remove(name: str) -> None:
    """A namespace, and first whatever still runs in it: only tests put anything there."""
    listed = subprocess.run(
        ["ip", "netns", "pids", name], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    for pid in listed.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run_ip("netns", "del", name)


def run_ip(*arguments: str) -> None:
    """One call of `ip`. AssertionError with its words if it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
