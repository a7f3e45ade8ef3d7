"""A js-libp2p node as a child process, told what to do in JSON lines (libp2p_node.mjs). Used by test_libp2p only."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trio

from p2pnode.core.ids import PeerId

ANSWER_S = 60.0
"""For the slowest command, 64 MiB there and back; a look-up of js-libp2p has the same deadline."""


class JsError(Exception):
    """What the JavaScript side threw, as `name: message`."""


class JsNode:
    """One process. Commands may run beside each other; it ends when its stdin is closed."""

    def __init__(
        self,
        folder: Path,
        kad: str,
        *,
        relay: dict[str, int] | None = None,
        street: dict[str, list[str]] | None = None,
        within: Sequence[str] = (),
        program: str = "libp2p_node.mjs",
    ) -> None:
        """`street`: where it listens and what it announces, in the NAT laboratory; `within` stands before the command."""
        self._process = subprocess.Popen(
            [*within, "node", program, json.dumps({"kad": kad, "relay": relay, "street": street})],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._count = 0
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        about = self.ask("about")
        self.peer_id = PeerId(about["peer"])
        self.address: str = about["addresses"][0]

    def ask(self, command: str, **options: Any) -> Any:
        """The command's result. JsError if it threw, TimeoutError if it says nothing."""
        self._count += 1
        number = self._count
        answers = self._waiting[number] = queue.SimpleQueue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **options}) + "\n")
        self._process.stdin.flush()
        try:
            answer = answers.get(timeout=ANSWER_S)
        except queue.Empty:
            raise TimeoutError(f"js-libp2p does not answer {command!r}") from None
        finally:
            del self._waiting[number]
        if "error" in answer:
            raise JsError(answer["error"])
        return answer["result"]

    async def __call__(self, command: str, **options: Any) -> Any:
        """As `ask`, from trio."""
        return await trio.to_thread.run_sync(lambda: self.ask(command, **options), abandon_on_cancel=True)  # type: ignore[call-arg]

    async def until(self, fits: Callable[[Any], bool], command: str, **options: Any) -> Any:
        """Ask again until the result fits; the deadline is the caller's."""
        while not fits(result := await self(command, **options)):  # noqa: ASYNC110 - it tells us nothing by itself
            await trio.sleep(0.05)
        return result

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            waiting = self._waiting.get(answer["id"])
            if waiting is not None:  # else nobody waits any longer
                waiting.put(answer)
        for waiting in list(self._waiting.values()):
            waiting.put({"error": "the js-libp2p process ended"})
