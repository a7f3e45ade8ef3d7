"""Documents that are run: the ```console blocks of a Markdown file, command by command, and what they print compared.

    $ p2pnode circle create Readers        a command; a line that ends in a backslash goes on in the next one
    circle  c-...                          what it prints, stderr included; `...` stands for anything, over lines too
    [3]                                    as the last line: the exit status, when it is not 0

One bash runs all blocks of a document in an empty folder, so variables and folders carry over. `p2pnode` and `scripts/run` are
this checkout's; daemons started there listen on loopback only and are gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 10.0
STATUS_LINE = re.compile(r"\[(\d+)\]")
MARK = "--- the transcript goes on ---"


class TranscriptFailed(AssertionError):
    """A command printed or returned something else than the document says."""


@dataclass(frozen=True)
class Step:
    """One command of a document and what the document says about it."""

    line: int
    command: str
    expected: str
    status: int


def steps_of(document: str) -> list[Step]:
    """The steps of every console block, in order."""
    steps: list[Step] = []
    lines = document.splitlines()
    inside = False
    at = 0
    while at < len(lines):
        text = lines[at]
        at += 1
        if text.startswith("```"):
            inside = text.strip() == "```console"
        elif inside and text.startswith("$ "):
            first, command = at, text[2:]
            while command.endswith("\\"):
                command += "\n" + lines[at]
                at += 1
            printed = []
            while not lines[at].startswith(("$ ", "```")):
                printed.append(lines[at].rstrip())
                at += 1
            status = STATUS_LINE.fullmatch(printed[-1]) if printed else None
            expected = "\n".join(printed[:-1] if status else printed).strip("\n")
            steps.append(Step(first, command, expected, int(status[1]) if status else 0))
        elif inside and text.strip():
            raise TranscriptFailed(f"line {at}: {text!r} belongs to no command")
    return steps


def matches(expected: str, printed: str) -> bool:
    """Whether the whole output is what is expected, trailing blanks aside."""
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def run_transcript(path: Path, folder: Path) -> int:
    """Run a document in an empty folder. The number of commands; TranscriptFailed at the first that differs."""
    steps = steps_of(path.read_text(encoding="utf-8"))
    with Shell(folder) as shell:
        for step in steps:
            printed, status = shell.run(step.command)
            if status != step.status or not matches(step.expected, printed):
                raise TranscriptFailed(
                    f"{path.name}, line {step.line}: $ {step.command}\n--- the document says [{step.status}]\n"
                    f"{step.expected}\n--- it printed [{status}]\n{printed}\n{shell.logs()}"
                )
    return len(steps)


class Shell:
    """A bash in a folder of its own; whatever it started is killed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / ".programs"
        (folder / "scripts").mkdir(parents=True)
        programs.mkdir()
        python = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)}"
        for program in (programs / "p2pnode", folder / "scripts" / "run"):
            program.write_text(f'#!/bin/sh\n{python} -P -m p2pnode "$@"\n')
            program.chmod(0o755)
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=_environment(folder, programs),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own: its daemons can be found again
        )

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Background jobs are asked to stop and waited for, unless something failed; what is left is killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.stdin.write(b"kill $(jobs -p); wait; exit\n")
            self._process.stdin.close()
            self._process.wait(0.0 if kind else STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()

    def run(self, command: str) -> tuple[str, int]:
        """(what it printed, exit status) of one command. TranscriptFailed when it takes too long or ends the shell."""
        assert self._process.stdin is not None
        script = f"{{ {command}\n}} </dev/null\nprintf '\\n%s %d\\n' '{MARK}' $?\n"
        self._process.stdin.write(script.encode())
        self._process.stdin.flush()
        text, status = self._read_until_mark(command)
        return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n"), status

    def logs(self) -> str:
        """What daemons of the document logged into its folder."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def _read_until_mark(self, command: str) -> tuple[str, int]:
        assert self._process.stdout is not None
        end = re.compile(rf"\n{re.escape(MARK)} (\d+)\n".encode())
        data, deadline = b"", time.monotonic() + COMMAND_TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (found := end.search(data)) is None:
                if not selector.select(deadline - time.monotonic()):
                    raise TranscriptFailed(f"$ {command}\ntook longer than {COMMAND_TIMEOUT_S:g} s\n{self.logs()}")
                part = os.read(self._process.stdout.fileno(), 65536)
                if not part:
                    raise TranscriptFailed(f"$ {command}\nended the shell\n{data.decode(errors='replace')}")
                data += part
        return data[: found.start()].decode(errors="replace"), int(found[1])


def _environment(folder: Path, programs: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "P2PNODE_LISTEN": "/ip4/127.0.0.1/tcp/0",
        "P2PNODE_LAN": "false",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }
