"""Real daemons in temporary homes on loopback, driven through the real command line: what the end-to-end tests stand on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
COMMAND_TIMEOUT_S = 120


class CommandFailed(AssertionError):
    """A command ended with another exit status than 0."""

    def __init__(self, arguments: tuple[str, ...], result: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"p2pnode {' '.join(arguments)} -> {result.returncode}\n{result.stdout}\n{result.stderr}")
        self.result = result


class RealDaemon:
    """One node: a home, a process, and the command line that talks to it."""

    def __init__(
        self,
        home: Path,
        *,
        bootstrap: tuple[str, ...] = (),
        listen: str | None = LOOPBACK,
        lan: bool = False,
        within: Sequence[str] = (),
    ) -> None:
        self.home, self.within = home, within  # what stands before the daemon's command: a network of its own, say
        listening = [] if listen is None else ["--listen", listen]  # None: where every daemon listens
        self.arguments = ["daemon", *listening, *([] if lan else ["--no-lan"])]
        for address in bootstrap:
            self.arguments += ["--bootstrap", address]
        self.environment = os.environ | {
            "P2PNODE_HOME": str(home),
            "P2PNODE_LOG_LEVEL": os.environ.get("P2PNODE_LOG_LEVEL", "info"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "P2PNODE_MAP_PORTS": "true" if within else "false",  # no test asks the router of the machine it runs on
            "NO_COLOR": "1",
        }
        self.process: subprocess.Popen[str] | None = None
        self.peer_id = ""
        self.addresses: list[str] = []

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def log(self) -> str:
        path = self.home.with_suffix(".log")
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> RealDaemon:
        """Start it and wait for its `ready` line."""
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home.with_suffix(".log"), "a") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "p2pnode", *self.arguments],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.home,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            self.kill()
            raise AssertionError(f"the daemon said {line!r} instead of ready; its log:\n{self.log}")
        self.peer_id, self.addresses = line[1], line[2:]
        return self

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """One call of the command line beside this daemon."""
        result = subprocess.run(
            [sys.executable, "-m", "p2pnode", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.home,
        )
        if check and result.returncode != 0:
            raise CommandFailed(arguments, result)
        return result

    def json(self, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Any:
        """The one JSON object that a command prints."""
        return json.loads(self.run(*arguments, "--json", timeout_s=timeout_s).stdout)

    def lines(self, *arguments: str) -> list[Any]:
        """The JSON objects that a listing command prints, one a line."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """A call of the command line that is not waited for."""
        return subprocess.Popen(
            [sys.executable, "-m", "p2pnode", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
        )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(STOP_TIMEOUT_S)
            self._close()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon did not stop within {STOP_TIMEOUT_S} s; its log:\n{self.log}") from None
        finally:
            self._close()

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None


def wait_until(condition: Callable[[], Any], *, what: str, timeout_s: float = 120.0) -> Any:
    """Ask until the answer is truthy; the answer. AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what} (last answer: {answer!r})")
        time.sleep(0.2)
