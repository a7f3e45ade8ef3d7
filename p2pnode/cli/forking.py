"""The command that forks a circle: `p2pnode circle fork`. A client of the control socket, as all commands."""

from __future__ import annotations

import click

from p2pnode.cli.call import NETWORK_TIMEOUT_S, Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import plural, print_json, print_pairs, short_id


@click.command(cls=Command)
@click.argument("circle")
@click.argument("name")
@click.option("--purpose", help="What the new circle is for; the old one's purpose unless you say another.")
@click.option("--steward", "stewards", multiple=True, metavar="KEY", help="A steward beside you. Can be repeated.")
@click.option("--f", "bad", type=click.IntRange(min=0), default=0, help="How many of the stewards may be bad; 0.")
@click.option(
    "--rules",
    metavar="PROPOSAL",
    help="Take the rules that this proposal put forward, not those in force: the way out when two were sealed.",
)
@click.option("--without-works", is_flag=True, help="Take only the members along; works are listed anew.")
@click.pass_obj
def fork(
    call: Call,
    circle: str,
    name: str,
    purpose: str | None,
    stewards: tuple[str, ...],
    bad: int,
    rules: str | None,
    without_works: bool,
) -> None:
    """Part from CIRCLE: found the circle NAME with its members and its decisions about works as they are today.

    Members are those whom vouches reach from the stewards of the new circle: you, and whom you name with --steward. Everybody keeps the
    name that they have in CIRCLE, and CIRCLE itself stays as it is. What happens there later counts there only.
    """
    given = {"purpose": purpose, "rules": rules, "stewards": list(stewards), "f": bad, "without_works": without_works}
    params = {"circle": circle, "name": name} | {field: value for field, value in given.items() if value}
    answer = call.ask("circle.fork", params, timeout_s=NETWORK_TIMEOUT_S)
    if call.json:
        print_json(answer)
        return
    taken = answer["inherited"]
    print_pairs([("circle", answer.get("circle")), ("forked from", answer.get("parent"))])
    print(f"It took along {plural(taken['works'], 'work')} and the vouches of its members: {taken['vouches']}.")
    if answer["left_behind"]:
        left = plural(answer["left_behind"], "member")
        print(
            f"No vouch leads from its stewards to {left} of the old one: name a steward of theirs (--steward), or vouch."
        )
    short = short_id(answer["circle"])
    if answer.get("told"):
        print(f"The members of the old one are told of it. Who comes along runs: p2pnode circle join {short}")
    else:
        print("It could not be told in the old one: send its members an invite, which they join with --fork.")
    print(f"Others come with an invite: p2pnode circle invite {short}")
