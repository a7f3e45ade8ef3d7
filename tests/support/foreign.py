"""A foreign program as a child process, told what to do in JSON lines: {"id", "command", ...} in, {"id", "result" | "error"} out.

It ends when its stdin is closed. `alone()` gives a network namespace that holds nothing but loopback, where this machine lets us.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ANSWER_S = 120.0
"""For the slowest command: a large folder there and back on a busy machine."""


class ForeignError(Exception):
    """What the other side threw, in its words."""


class Foreign:
    """One process. Commands may run beside each other. `log` is where its stderr goes."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        self._log, self._count, self._ended = log, 0, False
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, command: str, *, timeout_s: float = ANSWER_S, **options: Any) -> Any:
        """The command's result. ForeignError if it threw, TimeoutError if it says nothing."""
        self._count += 1
        number = self._count
        answers = self._waiting[number] = queue.SimpleQueue()
        assert self.process.stdin is not None
        if self._ended:
            raise ForeignError(f"the process ended; it said: {self._log.read_text(errors='replace')[-2000:]}")
        self.process.stdin.write(json.dumps({"id": number, "command": command, **options}) + "\n")
        self.process.stdin.flush()
        try:
            answer = answers.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"no answer to {command!r} within {timeout_s:g} s") from None
        finally:
            del self._waiting[number]
        if "error" in answer:
            raise ForeignError(answer["error"])
        return answer["result"]

    def until(self, fits: Callable[[Any], Any], command: str, *, timeout_s: float = 60.0, **options: Any) -> Any:
        """Ask again until the result fits."""
        deadline = time.monotonic() + timeout_s
        while not fits(result := self.ask(command, **options)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s:g} s: {command} says {result!r}")
            time.sleep(0.1)
        return result

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue  # a library that greets on stdout
            answer = json.loads(line)
            waiting = self._waiting.get(answer["id"])
            if waiting is not None:  # else nobody waits any longer
                waiting.put(answer)
        self._ended = True
        for waiting in list(self._waiting.values()):
            waiting.put({"error": f"the process ended; it said: {self._log.read_text(errors='replace')[-2000:]}"})


@contextlib.contextmanager
def alone() -> Iterator[tuple[str, ...]]:
    """What to put before a command so that it sees loopback and nothing else; () where namespaces are not to be had."""
    holder = _namespace()
    if holder is None:
        yield ()
        return
    try:
        yield ("nsenter", "-t", str(holder.pid), "-n", "--")
    finally:
        holder.kill()
        holder.wait()


def _namespace() -> subprocess.Popen[str] | None:
    if not all(shutil.which(program) for program in ("unshare", "nsenter", "ip")):
        return None
    script = "ip link set lo up && echo up && exec sleep infinity"
    holder = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        if holder.stdout.readline().strip() == "up":
            return holder
    holder.kill()
    holder.wait()
    return None
