"""Commands about one's other machines: device (list), device pair, rename, revoke, leave."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import NETWORK_TIMEOUT_S, Call
from p2pnode.cli.commands import Group
from p2pnode.cli.multiaddr import check_multiaddr
from p2pnode.cli.output import duration, moment, note, print_json, print_json_lines, print_pairs, print_table, short_id
from p2pnode.core.device_roles import ROLES, SERVER_ROLES


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def device(context: click.Context) -> None:
    """List your machines; pair another one, rename or revoke it."""
    if context.invoked_subcommand is None:
        _list(context.obj)


@device.command("list")
@click.pass_obj
def list_devices(call: Call) -> None:
    """List your machines and what each may do."""
    _list(call)


def _list(call: Call) -> None:
    items = call.items("device.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("No other machine is paired. On the one to be paired run: p2pnode device pair")
    else:
        print_table(
            ["NAME", "STATE", "MAY", "CONNECTED", "SINCE", "PEER ID"],
            [
                [
                    str(item.get("name")) + (" (this one)" if item.get("this") else ""),
                    str(item.get("state")),
                    ", ".join(map(str, item.get("roles", []))),
                    "" if item.get("this") else "yes" if item.get("connected") else "no",
                    moment(item.get("since")),
                    str(item.get("peer_id")),
                ]
                for item in items
            ],
            flexible=2,
        )


@device.command()
@click.pass_obj
def works(call: Call) -> None:
    """List the works that your other machines hold, as far as this one has heard."""
    items = call.items("device.works")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("Nothing was heard of works on your other machines yet.")
    else:
        rows = [[str(item.get("device")), short_id(item.get("work")), str(item.get("title"))] for item in items]
        print_table(["DEVICE", "WORK", "TITLE"], rows, flexible=2)


@device.command()
@click.argument("code", required=False)
@click.option("--at", "address", metavar="MULTIADDR", help="Where the other machine is, if it is not connected.")
@click.option("--name", metavar="NAME", help="What the other machine shall be called (showing a code: this one).")
@click.option("--as", "own_name", metavar="NAME", help="What this machine shall be called.")
@click.option(
    "--may",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help=f"What the other machine may do; may be repeated. Default: {', '.join(SERVER_ROLES)}.",
)
@click.pass_obj
def pair(
    call: Call, code: str | None, address: str | None, name: str | None, own_name: str | None, roles: tuple[str, ...]
) -> None:
    """Pair two machines of yours: show a code, or enter the CODE that the other one shows.

    Run it without CODE on the machine to be paired (the home server), then with the code on the machine that holds your
    identity. Both print the same check number at the end. Three wrong tries kill a code, ten minutes too.
    """
    if code is None:
        answer = _show(call, name)
    else:
        params: dict[str, Any] = {"code": code, "roles": list(roles)}
        if address is not None:
            check_multiaddr(address, with_peer=True)
            params["address"] = address
        params |= {key: value for key, value in (("name", name), ("own_name", own_name)) if value}
        answer = call.ask("device.pair", params, timeout_s=NETWORK_TIMEOUT_S)
    if call.json:
        print_json(answer)
        return
    print_pairs(
        [
            ("paired with", answer.get("name")),
            ("peer ID", answer.get("peer_id")),
            ("it may", ", ".join(answer.get("roles", []))),
            ("check number", answer.get("check")),
        ]
    )
    note("the other machine shows the same check number; if it does not, revoke it: p2pnode device revoke")
    if code is None and not call.ask("node.status").get("remote", {}).get("on"):
        note("before it can drive this machine: remote = true in config.toml, then start the node again")


def _show(call: Call, name: str | None) -> dict[str, Any]:
    def on_event(event: str, data: dict[str, Any]) -> None:
        if event != "device.code":
            return
        if call.json:
            print_json(data)
            return
        print(f"Pairing code: {data.get('code')}", flush=True)
        note(f"on the machine that holds your identity: p2pnode device pair {data.get('code')}")
        for address in data.get("addresses", [])[:2]:
            note(f"if it does not find this one: --at {address}")
        note(f"good for {duration(data.get('lifetime_s'))} and three tries; Ctrl-C ends it")

    return call.ask("device.accept", {"name": name} if name else {}, on_event, timeout_s=None)


@device.command()
@click.argument("device", metavar="DEVICE")
@click.argument("name", metavar="NAME")
@click.pass_obj
def rename(call: Call, device: str, name: str) -> None:
    """Call a machine NAME from now on."""
    answer = call.ask("device.rename", {"device": device, "name": name})
    _say(call, answer, f"It is called {answer.get('name')} now.")


@device.command()
@click.argument("device", metavar="DEVICE")
@click.pass_obj
def revoke(call: Call, device: str) -> None:
    """A lost machine may do nothing any more; what it has open here ends at once."""
    answer = call.ask("device.revoke", {"device": device})
    everywhere = answer.get("state") == "revoked"
    _say(
        call,
        answer,
        f"{answer.get('name')} is revoked."
        if everywhere
        else f"{answer.get('name')} may do nothing on this machine any more; to revoke it everywhere, do this where your identity is.",
    )


@device.command()
@click.pass_obj
def leave(call: Call) -> None:
    """This machine is nobody's device any more; works and settings stay."""
    _say(call, call.ask("device.leave"), "This machine is nobody's device now.")


def _say(call: Call, answer: dict[str, Any], words: str) -> None:
    if call.json:
        print_json(answer)
    else:
        print(words)
