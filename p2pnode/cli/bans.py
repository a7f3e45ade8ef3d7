"""`p2pnode peers bans` and `p2pnode peers unban`: who is refused for a while, and to let somebody in again."""

from __future__ import annotations

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.node import peers
from p2pnode.cli.output import duration, plural, print_json, print_json_lines, print_table

__all__ = ["peers"]


@peers.command(cls=Command)
@click.pass_obj
def bans(call: Call) -> None:
    """List the peers that this node refuses for a while, because they broke its rules.

    Bans end by themselves, and with the daemon. Bad blocks, false signatures and malformed messages cost points; a hundred are a ban.
    """
    items = call.items("peer.bans")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("No peer is banned. Who is connected: p2pnode peers")
    else:
        rows = [[str(item.get("peer_id")), duration(item.get("left_s")), str(item.get("reason"))] for item in items]
        print_table(["PEER ID", "FOR", "REASON"], rows, flexible=2)
        print(plural(len(items), "ban"))


@peers.command(cls=Command)
@click.argument("peer", metavar="PEER")
@click.pass_obj
def unban(call: Call, peer: str) -> None:
    """Let a banned peer in again, and forget what it did. PEER is its whole peer ID."""
    answer = call.ask("peer.unban", {"peer": peer})
    if call.json:
        print_json(answer)
    else:
        print(f"{answer.get('peer_id')} may connect again")
