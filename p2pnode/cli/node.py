"""Commands about the node itself: daemon, tui, status, stop, peers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from p2pnode.cli.call import NETWORK_TIMEOUT_S, Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.identity import ask_before_start
from p2pnode.cli.multiaddr import check_multiaddr
from p2pnode.cli.output import duration, plural, print_json, print_json_lines, print_pairs, print_table, size
from p2pnode.errors import TimedOutError, UsageError

STOP_TIMEOUT_S = 20.0
"""A daemon stops within 5 s; a busy disk may need more."""
POLL_S = 0.02


@click.command(cls=Command)
@click.option(
    "--listen", "listen", multiple=True, metavar="MULTIADDR", help="Where peers reach this node; may be repeated."
)
@click.option(
    "--bootstrap",
    "bootstrap",
    multiple=True,
    metavar="MULTIADDR",
    help="A peer to connect to at start; may be repeated.",
)
@click.option("--no-lan", is_flag=True, help="Do not look for peers on the local network.")
@click.pass_obj
def daemon(call: Call, listen: tuple[str, ...], bootstrap: tuple[str, ...], no_lan: bool) -> None:
    """Run a node in the foreground.

    Its only line on stdout is `ready PEER_ID MULTIADDR...`, once everything is open; logs go to stderr. Ctrl-C stops it.
    """
    arguments = []
    for address in listen:
        arguments += ["--listen", check_multiaddr(address)]
    for address in bootstrap:
        arguments += ["--bootstrap", check_multiaddr(address, with_peer=True)]
    secrets = ask_before_start(call)
    become(call, "p2pnode.daemon", [*arguments, *(["--no-lan"] if no_lan else [])], secrets)


@click.command(cls=Command)
@click.pass_obj
def tui(call: Call) -> None:
    """Open the terminal UI; it starts a daemon where none runs."""
    open_tui(call)


def open_tui(call: Call) -> NoReturn:
    """Replace this process by the terminal UI. UsageError where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the terminal UI needs a terminal", hint="for commands see: p2pnode --help")
    become(call, "p2pnode.tui", [] if call.device is None else ["--node", call.device])


def become(call: Call, module: str, arguments: list[str], variables: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process: signals and the exit status are then the other program's own, and trio is not imported here.

    `-P` keeps the current folder, which may be full of strangers' files, off the module path.
    """
    if call.home_argument:
        arguments = ["--home", call.home_argument, *arguments]
    command = [sys.executable, "-P", "-m", module, *arguments]
    environment = os.environ | {"PYTHONPATH": module_path()} | dict(variables or {})
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":  # exec on Windows starts a new process and gives the prompt back at once
        raise click.exceptions.Exit(subprocess.call(command, env=environment))
    os.execve(sys.executable, command, environment)


def module_path() -> str:
    """PYTHONPATH with the folder that this very package came from: a checkout need not be installed."""
    import p2pnode

    here = str(Path(p2pnode.__file__).resolve().parent.parent)
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return os.pathsep.join(given if here in given or _is_installed(here) else [here, *given])


def _is_installed(folder: str) -> bool:
    import sysconfig

    return folder in {str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib")}


@click.command(cls=Command)
@click.pass_obj
def status(call: Call) -> None:
    """How the node is: its name, addresses, peers, works and disk."""
    answer = call.ask("node.status")
    if call.json:
        print_json(answer)
        return
    quota = answer.get("quota_bytes")
    print_pairs(
        [
            ("peer ID", answer.get("peer_id")),
            ("reachability", answer.get("reachability")),
            *reach_lines(answer.get("reach", {})),
            *(("address", address) for address in answer.get("addresses", [])),
            ("peers", answer.get("peers")),
            ("works", answer.get("works")),
            ("to publish anew", offers(answer.get("offers"))),
            ("circles", answer.get("circles")),
            ("stored", size(answer.get("stored_bytes")) + (f" of {size(quota)}" if quota else "")),
            ("health", health(answer.get("health"))),
            ("works wait", answer.get("traffic", {}).get("waiting")),
            ("remote control", _remote(answer.get("remote", {}))),
            ("running for", duration(answer.get("uptime_s"))),
            ("home", answer.get("home")),
            ("version", answer.get("version")),
        ]
    )


def reach_lines(reach: dict[str, Any]) -> list[tuple[str, str]]:
    """What would help, the router, and what this node does for others that are not reached; nothing where there is nothing to say."""
    lines = [("what would help", str(reach["hint"]))] if reach.get("hint") else []
    if reach.get("mapped"):
        lines.append(("router", f"forwards {reach['mapped']} ({reach.get('mapped_by')})"))
    relay = reach.get("relay", {})
    if relay.get("on"):
        places, circuits = plural(relay.get("places", 0), "place"), plural(relay.get("circuits", 0), "circuit")
        lines.append(("relay", f"on, for others: {places}, {circuits}, {size(relay.get('bytes', 0))} carried"))
    return lines


def _remote(remote: dict[str, Any]) -> str | None:
    """Whether paired machines may drive this node, and how many do; None while it is switched off."""
    if not remote.get("on"):
        return None
    sessions = remote.get("sessions")
    return f"on, {plural(sessions, 'session')} of paired machines open" if sessions else "on, for paired machines"


def health(finding: object) -> str | None:
    """What the last look found bad, with what to do; None when nothing is."""
    if not isinstance(finding, dict):
        return None
    return "; ".join(filter(None, (str(finding.get("words") or ""), str(finding.get("hint") or ""))))


def offers(count: object) -> str | None:
    """Watched works that have changed, in words; None when there is none."""
    return f"{plural(count, 'work')} changed on the disk; see: p2pnode watch" if count else None


@click.command(cls=Command)
@click.pass_obj
def stop(call: Call) -> None:
    """Stop the daemon; returns when it is gone."""
    from p2pnode.control.lock import running_pid

    deadline = time.monotonic() + STOP_TIMEOUT_S
    with call.client() as client:
        pid = client.hello.pid
        client.call("node.stop", timeout_s=STOP_TIMEOUT_S)
        client.wait_until_closed(deadline - time.monotonic())
    while call.device is None and running_pid(call.home) is not None:
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"the daemon (process {pid}) has not stopped within {STOP_TIMEOUT_S:g} s", hint="look at its log"
            )
        time.sleep(POLL_S)
    if call.json:
        print_json({"stopped": True, "pid": pid})
    else:
        print("The daemon has stopped.")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def peers(context: click.Context) -> None:
    """List the connected peers, or connect to one."""
    if context.invoked_subcommand is not None:
        return
    call: Call = context.obj
    items = call.items("peer.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("No peers are connected. Connect to one with: p2pnode peers connect MULTIADDR")
    else:
        print_table(
            ["PEER ID", "CAME", "WAY", "RTT", "AGENT", "ADDRESS"],
            [
                [
                    str(item.get("peer_id")),
                    str(item.get("direction")),
                    str(item.get("way") or ""),
                    "" if item.get("rtt_ms") is None else f"{item['rtt_ms']:.0f} ms",
                    str(item.get("agent") or ""),
                    " ".join(map(str, item.get("addresses", [])[:1])),
                ]
                for item in items
            ],
            flexible=5,
        )
        print(plural(len(items), "peer"))


@peers.command()
@click.argument("address", metavar="MULTIADDR")
@click.pass_obj
def connect(call: Call, address: str) -> None:
    """Connect to a peer, for example /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo..."""
    check_multiaddr(address, with_peer=True)
    answer = call.ask("peer.connect", {"address": address}, timeout_s=NETWORK_TIMEOUT_S)
    if call.json:
        print_json(answer)
    else:
        print(f"Connected to {answer.get('peer_id')}")
