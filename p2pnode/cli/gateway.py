"""The command about the gateway: works in a browser, and IPFS programs served, on this machine only."""

from __future__ import annotations

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import note, print_json
from p2pnode.errors import UsageError


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="On this port (default: a free one).")
@click.option("--status", is_flag=True, help="Only say whether it is open, and where.")
@click.option("--stop", is_flag=True, help="Close it; its addresses are worth nothing from then on.")
@click.pass_obj
def gateway(call: Call, port: int | None, status: bool, stop: bool) -> None:
    """Open the gateway and print its address: works in a browser on this machine, and blocks for IPFS programs.

    It listens on 127.0.0.1 only, and whoever has the address can read what this node holds, private works too, so keep it to
    yourself. It stays open until it is stopped or the node ends; `gateway = true` in the settings opens it at every start.
    """
    if stop + status + (port is not None) > 1:
        raise UsageError("--port, --status and --stop exclude each other")
    method = "gateway.close" if stop else "gateway.status" if status else "gateway.open"
    answer = call.ask(method, {"port": port} if port is not None else {})
    if call.json:
        print_json(answer)
    elif answer.get("open"):
        print(answer.get("url"))
        if not status:
            note("open this address in a browser on this machine; close it with: p2pnode gateway --stop")
    else:
        print("The gateway is closed.")
