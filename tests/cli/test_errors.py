"""What goes wrong is one line, a hint and a documented exit status; for programs one object."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.cli import node
from p2pnode.cli.commands import OTHER_WORDS
from p2pnode.cli.help import topics
from p2pnode.cli.main import root
from p2pnode.cli.marks import MARKS
from p2pnode.config import Home
from p2pnode.control.lock import DaemonLock
from p2pnode.errors import ERRORS
from tests.cli.answers import HIT, STATUS
from tests.cli.conftest import Cli
from tests.support.control import ControlThread, control_thread, wait_for

Serve = Callable[[dict[str, Any]], ControlThread]
DOCUMENTED = topics()["exit-statuses"].read_text(encoding="utf-8")


def raising(error: Exception) -> Any:
    async def method(params: Any, emit: Any) -> Any:
        raise error

    return method


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_has_its_documented_status(code: str, cli: Cli, serve: Serve) -> None:
    error = ERRORS[code]("it went wrong", hint="do this")
    serve({"node.status": raising(error)})
    said = cli("status")
    assert (said.status, said.out) == (error.exit_status, "")
    assert said.err == "p2pnode: it went wrong\n  do this\n"
    for_programs = cli("status", "--json")
    assert (for_programs.status, for_programs.out) == (error.exit_status, "")
    assert for_programs.error == {"code": code, "message": "it went wrong", "hint": "do this"}
    (row,) = [line for line in DOCUMENTED.splitlines() if f"`{code}`" in line]
    assert row.startswith(f"| {error.exit_status} |")


def test_a_failure_inside_the_daemon(cli: Cli, serve: Serve) -> None:
    serve({"node.status": raising(ZeroDivisionError("secret"))})
    said = cli("status", "--json")
    assert (said.status, said.error["code"]) == (1, "internal")
    assert "secret" not in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["status", "surplus"],
        ["publish"],
        ["circle"],
        ["circle", "nonsense"],
        ["propose", "flag", "c", "w"],
        ["propose", "flag", "c", "w", "--class", "ugly", "--reason", "r"],
        ["vote", "p", "maybe"],
        ["search"],
        ["search", "x", "--timeout", "soon"],
        ["search", "x", "--timeout", "-1"],
        ["peers", "connect", "localhost:4001"],
        ["peers", "connect", "/ip4/127.0.0.1/tcp/4001"],
        ["peers", "connect", "/ip4/127.0.0.300/tcp/4001/p2p/x"],
        ["peers", "connect", "/ip4/127.0.0.1/tcp/99999/p2p/x"],
        ["peers", "connect", "/ip4/127.0.0.1/carrier-pigeon/1/p2p/x"],
        ["peers", "connect", "/ip4/127.0.0.1/tcp"],
        ["daemon", "--listen", "4001"],
        ["daemon", "--bootstrap", "/ip4/127.0.0.1/tcp/4001"],
        ["status", "--home"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_a_line_and_a_hint(arguments: list[str], cli: Cli) -> None:
    said = cli(*arguments)
    assert (said.status, said.out) == (2, "")
    message, hint = said.err.splitlines()
    assert message.startswith("p2pnode: ") and hint.startswith("  ")
    if arguments[-1] != "--home":
        said = cli(*arguments, "--json")
        assert (said.status, said.error["code"]) == (2, "usage")


def test_a_slip_is_guessed(cli: Cli) -> None:
    assert "Did you mean publish or unpublish?" in cli("pubish").err


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("complain", "propose flag"),
        ("invite", "circle invite"),
        ("join", "circle join"),
        ("leave", "circle leave or device leave"),
        ("expel", "propose expel"),
        ("edit", "propose edit"),
        ("members", "circle show"),
        ("download", "get"),
    ],
)
def test_a_word_that_stands_elsewhere_is_found_there(cli: Cli, word: str, meant: str) -> None:
    assert f"there is no command {word!r}. Did you mean {meant}?" in cli(word).err


def test_what_other_words_lead_to_is_there() -> None:
    for meant in OTHER_WORDS.values():
        group, _, name = meant.partition(" ")
        command = root.commands[group]
        assert not name or group == "help" or name in getattr(command, "commands", ())


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "arguments", [["circle", "invite", "C", "--hours"], ["search", "bees", "--timeout"], ["get", "w-abc", "--timeout"]]
)
def test_a_number_without_an_end_is_a_slip(cli: Cli, arguments: list[str], number: str) -> None:
    said = cli(*arguments, number)
    assert said.status == 2 and number in said.err


def test_after_two_dashes_json_is_a_word(cli: Cli, serve: Serve) -> None:
    daemon = serve({"work.search": {"items": [], "asked": 0, "answered": 0}})
    assert cli("search", "--", "--json").out == "Nothing was found.\n"
    assert daemon.calls[0][1]["text"] == "--json"


def test_no_daemon_says_how_to_start_one(cli: Cli, home: Path) -> None:
    said = cli("status")
    assert said.status == 3
    assert said.err == f"p2pnode: no daemon runs at {home}\n  start one with: p2pnode daemon\n"
    said = cli("status", "--home", "/elsewhere", "--json")
    assert said.error["hint"] == "start one with: p2pnode daemon --home /elsewhere"


def test_a_daemon_that_is_starting_is_not_no_daemon(cli: Cli, home: Path) -> None:
    lock = DaemonLock.acquire(Home(home))
    said = cli("status")
    assert said.status == 3
    assert f"(process {os.getpid()}) does not answer" in said.err and "try again" in said.err
    lock.release()


def test_a_daemon_that_does_not_stop(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "STOP_TIMEOUT_S", 0.1)
    serve({"node.stop": {}})  # answers, and stays
    said = cli("stop")
    assert said.status == 7 and "has not stopped within" in said.err


def test_the_tui_needs_a_terminal(cli: Cli) -> None:
    assert cli().status == 2
    assert "needs a terminal" in cli("tui").err


def test_what_nobody_foresaw_is_kept_in_a_file(
    cli: Cli, serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve({"node.status": STATUS})
    monkeypatch.setattr(node, "print_pairs", lambda pairs: 1 / 0)
    said = cli("status")
    assert said.status == 1
    message, hint = said.err.splitlines()
    assert message == "p2pnode: something unforeseen happened (ZeroDivisionError)"
    log = home / "log" / "cli.log"
    assert str(log) in hint and "ZeroDivisionError" in log.read_text() and log.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("P2PNODE_HOME", "/dev/null/no/folder")
    monkeypatch.setattr(node, "duration", lambda seconds: 1 / 0)
    assert cli("status", "--home", str(home)).status == 1


def test_a_disk_that_fails_is_named(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(pairs: object) -> None:
        raise OSError(28, "No space left on device", "/x/y")

    serve({"node.status": STATUS})
    monkeypatch.setattr(node, "print_pairs", full)
    assert cli("status").err == "p2pnode: /x/y: No space left on device\n"


# ---------------------------------------------------------------- in a process of its own


def start(home: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "p2pnode", *arguments],
        env=os.environ | {"P2PNODE_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_ends_quietly_and_stops_the_work_in_the_daemon(home: Path, as_json: bool) -> None:
    ended = threading.Event()

    async def wait(params: Any, emit: Any) -> Any:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    with control_thread(home, {"work.get": wait}) as daemon:
        process = start(home, "get", "w-abcdef", *(["--json"] if as_json else []))
        wait_for(lambda: daemon.calls, "the request has arrived")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out) == (130, "")
        assert ended.wait(5)
        assert "Traceback" not in err
        if as_json:
            assert '"code": "interrupted"' in err


def test_a_closed_pipe_is_no_error(home: Path) -> None:
    items = [HIT | {"work": f"w-{at}"} for at in range(5000)]
    with control_thread(home, {"work.list": {"items": items}}):
        for arguments in (["list", "--json"], ["list"]):
            process = start(home, *arguments)
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(timeout=10) == 0
            assert process.stderr.read() == ""
            process.stderr.close()


def test_a_call_loads_no_event_loop(home: Path) -> None:
    code = (
        "import sys, p2pnode.cli.main as m; status = m.run(['status', '--json']); "
        "print(status, *sorted({'trio', 'libp2p', 'textual', 'asyncio', 'sqlite3', 'cryptography', 'nacl'} & set(sys.modules)))"
    )
    with control_thread(home, {"node.status": STATUS}):
        process = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"P2PNODE_HOME": str(home)}, capture_output=True, text=True
        )
    assert process.stdout.splitlines()[-1] == "0", process.stdout + process.stderr


@pytest.mark.parametrize(
    "arguments", [["cid", ""], ["publish", "", "--title", "Everything here"], ["get", "bafkqaaa", "-o", ""]]
)
def test_an_empty_path_is_not_the_folder_one_stands_in(
    arguments: list[str], cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon = serve({"work.publish": {}, "work.get": {}})
    said = cli(*arguments)
    assert (said.status, said.out, daemon.calls) == (2, "", [])
    assert said.err.startswith("p2pnode: the path is empty\n")


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("arguments", "status"), [("help glossary", 0), ("status", 3)])
def test_closed_streams_change_nothing(closed: str, arguments: str, status: int, home: Path) -> None:
    command = f'exec "{sys.executable}" -m p2pnode {arguments} {closed}'
    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == status
    assert "Traceback" not in said.stderr
    assert not (home / "log").exists(), "nothing unforeseen was written down"


def test_a_missing_choice_is_told_in_one_line(cli: Cli) -> None:
    said = cli("mark", "w-aaaaaa")
    assert said.err.splitlines()[0].endswith("Choose from: " + ", ".join(MARKS))


def test_a_search_for_nothing_is_a_mistake_and_not_an_empty_result(cli: Cli, serve: Serve) -> None:
    daemon = serve({"work.search": {"items": [], "asked": 0, "answered": 0}})
    said = cli("search", "", " ")
    assert (said.status, said.out, daemon.calls) == (2, "", [])
    assert said.err.startswith("p2pnode: there is no word to search for\n")
