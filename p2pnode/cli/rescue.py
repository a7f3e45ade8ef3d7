"""The command that makes a damaged database anew; it needs no daemon, and none may run."""

from __future__ import annotations

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.node import become


@click.command(cls=Command)
@click.option("--anyway", is_flag=True, help="Make it anew even if it looks healthy.")
@click.pass_obj
def rescue(call: Call, anyway: bool) -> None:
    """Examine the node's database, and if it is damaged make it anew from what can be read of it.

    Stop the daemon first. The damaged database stays beside the new one as node.db.damaged-DATE. Works, circles, records, pins and the
    sequence numbers of what you signed are taken over; nothing is that does not prove itself by signature or hash. Leaves whose place was
    lost are looked for in their files when the daemon starts. No file of a work is touched.
    """
    arguments = [*(["--anyway"] if anyway else []), *(["--json"] if call.json else [])]
    become(call, "p2pnode.rescue", arguments)
