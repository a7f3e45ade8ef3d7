"""Commands that read a work: cat streams a file of it while it arrives, open shows one with the program that the system has for it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import note, print_json
from p2pnode.cli.progress import Progress
from p2pnode.cli.transfers import fetch
from p2pnode.errors import NotFoundError

if TYPE_CHECKING:
    from p2pnode.control.blocking import BlockingClient

MAX_FRAMES = 16
"""Frames of 64 KiB that are let come at a time, when they come fast."""
FAST_S = 0.2
"""A batch that takes longer is asked for in smaller pieces: what arrives slowly is passed on as it comes."""
PROGRAMS = (
    *(
        ".app",
        ".appimage",
        ".bat",
        ".bin",
        ".cmd",
        ".com",
        ".command",
        ".cpl",
        ".desktop",
        ".exe",
        ".hta",
        ".jar",
        ".js",
        ".jse",
    ),
    *(
        ".lnk",
        ".msc",
        ".msi",
        ".pif",
        ".ps1",
        ".py",
        ".reg",
        ".run",
        ".scr",
        ".sh",
        ".url",
        ".vbe",
        ".vbs",
        ".workflow",
        ".wsf",
    ),
)
"""Endings of what the system would run instead of show. A stranger made these files: they are never started."""


@click.command(cls=Command)
@click.argument("work", metavar="WORK[/PATH]|CID[/PATH]")
@click.option("--offset", type=click.IntRange(0), default=0, metavar="N", help="Begin at this byte.")
@click.option("--length", type=click.IntRange(0), metavar="N", help="Stop after so many bytes.")
@click.pass_obj
def cat(call: Call, work: str, offset: int, length: int | None) -> None:
    """Write a file of a work to standard output while it arrives; only what is read is fetched.

    Every byte is verified before it is written. With --json each part is an object with its offset and its bytes in base64.
    """
    params: dict[str, Any] = {"work": work, "offset": offset}
    if length is not None:
        params["length"] = length
    with call.client() as client, Progress() as progress:
        out = Frames(client, as_json=call.json)

        def on_event(name: str, data: dict[str, Any]) -> None:
            if name == "work.opened":
                out.begin(str(data["read"]))
            elif name == "work.bytes":
                progress.clear()
                out.take(data)
            elif not sys.stdout.isatty():
                progress.update(name, data)

        client.call("work.read", params, on_event, None)
        out.write()


class Frames:
    """Lets frames come, and writes them when all that were let come are here: nothing waits in the daemon while we wait to write."""

    def __init__(self, client: BlockingClient, *, as_json: bool) -> None:
        self._client, self._json = client, as_json
        self._frames: list[dict[str, Any]] = []
        self._credit = 1
        self._token = ""
        self._asked_at = 0.0

    def begin(self, token: str) -> None:
        self._token = token
        self._grant()

    def take(self, frame: dict[str, Any]) -> None:
        self._frames.append(frame)
        if len(self._frames) >= self._credit:
            fast = time.monotonic() - self._asked_at < FAST_S
            self.write()
            self._credit = min(MAX_FRAMES, 2 * self._credit) if fast else max(1, self._credit // 2)
            self._grant()

    def write(self) -> None:
        if self._json:
            for frame in self._frames:
                print_json(frame)
        else:
            for frame in self._frames:
                sys.stdout.buffer.write(base64.b64decode(frame["data"]))
            sys.stdout.buffer.flush()
        self._frames = []

    def _grant(self) -> None:
        self._asked_at = time.monotonic()
        self._client.tell("read.credit", {"read": self._token, "frames": self._credit})


@click.command("open", cls=Command)
@click.argument("work", metavar="WORK[/PATH]|CID[/PATH]")
@click.option("--print", "only_print", is_flag=True, help="Only print where it lies.")
@click.pass_obj
def open_work(call: Call, work: str, only_print: bool) -> None:
    """Show a work, or a file of it, with the program that the system has for it; fetches it first if it is not here.

    Prints the path. Where there is no desktop, and for what would be run instead of shown, it does no more than that.
    """
    reference, _, inside = work.partition("/")
    params: dict[str, Any] = {"work": reference}
    if inside.strip("/"):
        params["only"] = [inside]
    path = str(fetch(call, params).get("path"))
    if inside.strip("/"):
        path = os.path.join(path, *(part for part in inside.split("/") if part not in ("", ".")))
    if not os.path.lexists(path):
        raise NotFoundError(f"there is nothing at {path} any more", hint="it was moved or removed; verify the work")
    opener = None if only_print else _opener(path)
    opened = opener is not None and _start([*opener, path])
    if call.json:
        print_json({"path": path, "opened": opened})
        return
    print(path)
    if not opened and not only_print and _would_run(path):
        note("this would be run, not shown: it is not started; look at it with a program of your choice")


def _would_run(path: str) -> bool:
    return path.lower().endswith(PROGRAMS) or (os.path.isfile(path) and os.access(path, os.X_OK))


def _opener(path: str) -> Sequence[str] | None:
    """The command that shows files here; None where there is none, or where it would run this one."""
    if _would_run(path):
        return None
    if sys.platform == "darwin":
        return ["open"]
    if sys.platform == "win32":
        return ["explorer"]
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ["xdg-open"]
    return None


def _start(command: Sequence[str]) -> bool:
    with suppress(OSError):
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )  # fmt: skip
        return True
    return False
