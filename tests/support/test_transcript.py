"""The runner of documents notices what it is there to notice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import transcript
from tests.support.control import wait_for
from tests.support.transcript import Shell, TranscriptFailed, matches, run_transcript, steps_of


def document(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "document.md"
    path.write_text("\n".join(["# A title", "", "```console", *lines, "```", "", "$ not a command", ""]))
    return path


def test_steps_of_a_document() -> None:
    first, second, third = steps_of(
        "text\n```console\n$ a \\\n  b\nout\n\nmore\n\n$ c\n```\n```sh\n$ d\n```\n```console\n$ e\n[3]\n```\n"
    )
    assert (first.line, first.command, first.expected, first.status) == (3, "a \\\n  b", "out\n\nmore", 0)
    assert (second.command, second.expected) == ("c", "")
    assert (third.command, third.expected, third.status) == ("e", "", 3)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("", "", True), ("", "x", False), ("...", "", True), ("...", "a\nb", True), ("a...c", "abc", True),
        ("a...c", "a\nb\nc", True), ("a...c", "ab", False), ("a.c", "abc", False), ("...b...", "a\nb\nc", True),
    ],
)  # fmt: skip
def test_matching(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same


def test_a_document_that_is_true(tmp_path: Path) -> None:
    path = document(
        tmp_path,
        "$ X=5; mkdir folder; cd folder",
        "$ echo $X; pwd",
        "5",
        ".../folder",
        "$ echo error >&2; false",
        "error",
        "[1]",
        "$ cat",
        "$ p2pnode --version",
        "p2pnode ...",
        "$ ../scripts/run status",
        "p2pnode: no daemon runs at ...",
        "[3]",
    )
    assert run_transcript(path, tmp_path / "empty") == 6


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["$ echo a", "b"], "the document says"),
        (["$ echo a"], "it printed"),
        (["$ true", "a"], "the document says"),
        (["$ false"], "it printed [1]"),
        (["$ true", "[1]"], "it printed [0]"),
        (["$ exit 0"], "ended the shell"),
        (["output of nothing", "$ true"], "belongs to no command"),
    ],
)
def test_a_document_that_is_not(lines: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TranscriptFailed) as failure:
        run_transcript(document(tmp_path, *lines), tmp_path / "empty")
    assert reason in str(failure.value)


def test_a_command_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "COMMAND_TIMEOUT_S", 0.2)
    with pytest.raises(TranscriptFailed, match="took longer than"):
        run_transcript(document(tmp_path, "$ sleep 60"), tmp_path / "empty")


def test_what_was_started_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Shell(tmp_path / "empty") as shell:
        shell.run("sleep 600 & echo $! > pid; (trap '' TERM; echo > deaf; exec sleep 601) & echo $! > deaf.pid")
        shell.run("until test -e deaf; do sleep 0.01; done")
        pids = [int((shell.folder / name).read_text()) for name in ("pid", "deaf.pid")]
        for pid in pids:
            os.kill(pid, 0)
        monkeypatch.setattr(transcript, "STOP_TIMEOUT_S", 0.2)
    wait_for(lambda: not any(is_running(pid) for pid in pids), "both are gone")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().split()[2] == "Z")  # ended, but nobody has asked how
