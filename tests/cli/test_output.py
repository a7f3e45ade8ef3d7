"""What people see: clipped to their terminal, with nothing in it that a stranger could drive the terminal with."""

from __future__ import annotations

import io
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from p2pnode.cli import output, progress
from p2pnode.cli.output import duration, moment, print_pairs, print_table, size
from p2pnode.cli.progress import Progress, describe
from p2pnode.core.text import width
from tests.cli.answers import (
    CIRCLE_ITEM,
    CIRCLE_SHOWN,
    EXPLAINED,
    HIT,
    LISTED,
    PEER_ITEM,
    PROPOSAL_ITEM,
    SHOWN,
    STATUS,
    TRANSFER,
)
from tests.cli.conftest import Cli
from tests.support.control import ControlThread

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\nsecond line\u202egnp.exe\x00\ud800 \u200b" + "\u0301" * 50
COMMANDS = [
    (["status"], {"node.status": STATUS}),
    (["peers"], {"peer.list": {"items": [PEER_ITEM]}}),
    (["search", "x"], {"work.search": {"items": [HIT], "asked": 1, "answered": 1}}),
    (["list"], {"work.list": {"items": [LISTED]}}),
    (["show", "w"], {"work.show": SHOWN}),
    (["get", "w"], {"work.get": {"path": "p", "bytes": 1, "providers": 1}}),
    (["transfers"], {"transfer.list": {"items": [TRANSFER]}}),
    (["circle", "list"], {"circle.list": {"items": [CIRCLE_ITEM]}}),
    (["circle", "show", "c"], {"circle.show": CIRCLE_SHOWN}),
    (["circle", "invite", "c"], {"circle.invite": {"invite": "p2pnode:invite/x"}}),
    (["circle", "join", "i"], {"circle.join": {"circle": "c", "state": "waiting", "reason": "r"}}),
    (["proposals"], {"proposal.list": {"items": [PROPOSAL_ITEM]}}),
    (
        ["vote", "p", "approve"],
        {
            "proposal.show": PROPOSAL_ITEM | {"member": True, "signed_as": "k"},
            "ballot.cast": {"ballot": "r", "proposal": "p", "choice": "approve"},
        },
    ),
    (["explain", "w"], {"verdict.explain": EXPLAINED}),
    (["identity", "show"], {"identity.show": {"profile_key": "k", "name": "n", "about": "a"}}),
]


def poisoned(value: Any) -> Any:
    """The same answer with every text made hostile."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, dict):
        return {name: poisoned(inner) for name, inner in value.items()}
    return [poisoned(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("arguments", "answers"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
@pytest.mark.parametrize("columns", [None, "80", "40"])
def test_hostile_text_reaches_no_terminal(
    arguments: list[str], answers: Any, columns: str | None, cli: Cli, serve: Callable[[Any], ControlThread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    serve(poisoned(answers))
    said = cli(*arguments)
    assert said.status == 0
    for character in said.out + said.err:
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"), repr(said.out)
    assert "second line" not in said.out.splitlines()


def test_errors_of_strangers_are_made_safe_too(cli: Cli) -> None:
    assert "\x1b" not in cli("peers", "connect", "/ip4/\x1b[2J").err
    assert "\x1b" not in cli("\x1b[2J").err


def test_tables_fit_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = [["w-abcdefghij", "日本語の長い題名" * 10, "x" * 30], ["w-k", "short", ""]]
    print_table(["WORK", "TITLE", "CREATORS"], rows, flexible=1)
    assert "日本語の長い題名" * 10 in capsys.readouterr().out, "a pipe is not clipped"
    for cells in (100, 60, 30, 10):
        monkeypatch.setenv("COLUMNS", str(cells))
        print_table(["WORK", "TITLE", "CREATORS"], rows, flexible=1)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        assert all(width(line) <= cells for line in lines)
    monkeypatch.setenv("COLUMNS", "100")
    print_table(["WORK", "TITLE", "CREATORS"], rows, flexible=1)
    head, first, second = capsys.readouterr().out.splitlines()
    assert width(head[: head.index("CREATORS")]) == width(first[: first.index("x")])
    assert second.startswith("w-k           short")


def test_pairs_leave_empty_values_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_pairs([("a", 0), ("long name", "x"), ("none", None), ("empty", "")])
    assert capsys.readouterr().out == "a          0\nlong name  x\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"),
     ((1 << 20) - 1, "1.0 MiB"), (5 << 40, "5.0 TiB"), (1 << 70, "1048576.0 PiB"), (None, ""), ("x", "")],
)  # fmt: skip
def test_sizes(count: object, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7260, "2 h 1 min"), (90000, "25 h 0 min"), (864000, "10 days")],
)
def test_durations(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_impossible_times_are_no_crash() -> None:
    assert moment(1e30) == "?" and moment(float("nan")) == "?" and moment(None) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.paint("x", "red") == "x", "not into a pipe"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert output.paint("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("x", "red") == "x"


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, terminal = io.StringIO(), Terminal()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "DRAW_INTERVAL_S", 0.0)
    for stream in (pipe, terminal):
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress() as bar:
            bar.update(
                "transfer.progress",
                {"bytes": 512, "total": 2048, "rate_bytes_s": 100, "providers": 2, "title": "x" * 99},
            )
            bar.update("work.hit", {"bytes": 1, "total": 2})
    assert pipe.getvalue() == ""
    drawn = terminal.getvalue()
    assert drawn.startswith("\r\x1b[K[######..................]  25 %  512 bytes of 2.0 KiB")
    assert drawn.endswith("\r\x1b[K"), "the line is gone at the end"
    assert drawn.count("[######") == 1


@pytest.mark.parametrize(
    "data", [{}, {"bytes": 5}, {"bytes": 9, "total": 0}, {"bytes": 9, "total": 3}, {"bytes": "x", "total": []}]
)
def test_progress_of_any_shape(data: dict[str, Any]) -> None:
    assert "%" not in describe(data) or "100 %" in describe(data)


@pytest.mark.parametrize(
    ("cells", "headings"),
    [
        (60, "WORK STATE SIZE LICENCE TITLE"),
        (50, "WORK STATE SIZE TITLE"),
        (40, "WORK STATE TITLE"),
        (30, "WORK TITLE"),
    ],
)
def test_a_narrow_terminal_loses_other_columns_before_the_title(
    cells: int, headings: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(cells))
    rows = [["w-abcdefghij", "own", "667.6 MiB", "", "On the Commons"]]
    print_table(["WORK", "STATE", "SIZE", "LICENCE", "TITLE"], rows, flexible=4)
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == headings.split()
    assert "On the Comm" in second
