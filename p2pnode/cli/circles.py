"""Commands about circles and who is in them: circle, vouch, unvouch. Deciding is `cli.deciding`, proposing `cli.proposing`."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import NETWORK_TIMEOUT_S, Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.numbers import Finite
from p2pnode.cli.output import moment, paint, plural, print_json, print_json_lines, print_pairs, print_table, short_id
from p2pnode.cli.qr import print_qr
from p2pnode.cli.questions import print_proposals
from p2pnode.core.profiles import PROFILES
from p2pnode.core.rule_words import charter_words, rule_text
from p2pnode.core.text import marked, safe

LISTED_SHOWN = 20


@click.group(cls=Group)
def circle() -> None:
    """Circles: communities that decide together what is good."""


@circle.command()
@click.argument("name")
@click.option("--purpose", help="What the circle is for, in a sentence.")
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help="Rules to begin with: " + "; ".join(f"{name}: {one.title}" for name, one in PROFILES.items()) + ".",
)
@click.pass_obj
def create(call: Call, name: str, purpose: str | None, profile: str | None) -> None:
    """Start a circle with yourself as its first steward. Every rule can be changed later: p2pnode propose charter."""
    given = {key: value for key, value in (("purpose", purpose), ("profile", profile)) if value}
    answer = call.ask("circle.create", {"name": name} | given)
    if call.json:
        print_json(answer)
    else:
        print_pairs([("circle", answer.get("circle"))])
        print(PROFILES[profile].words if profile else f"Ready-made rules: --profile {', '.join(PROFILES)}.")
        print("At first you alone decide, at once; each member whom you invite decides with you.")
        print("Invite somebody with: p2pnode circle invite " + short_id(answer.get("circle")))


@circle.command("list")
@click.pass_obj
def list_circles(call: Call) -> None:
    """List the circles you are in."""
    items = call.items("circle.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("You are in no circle. Start one with: p2pnode circle create NAME")
    else:
        print_table(
            ["CIRCLE", "STATE", "MEMBERS", "WORKS", "PROPOSALS", "NAME"],
            [
                [
                    short_id(item.get("circle")),
                    *(str(item.get(name, "")) for name in ("state", "members", "works", "proposals", "name")),
                ]
                for item in items
            ],
            flexible=5,
        )


@circle.command("show")
@click.argument("circle")
@click.pass_obj
def show_circle(call: Call, circle: str) -> None:
    """Show a circle: its roll, what it lists, what is being decided."""
    answer = call.ask("circle.show", {"circle": circle})
    if call.json:
        print_json(answer)
    else:
        _print_circle(answer)


def _fork_of(answer: dict[str, Any]) -> str:
    """The parent of a fork, and whether what it inherits is here."""
    parent, brought = answer.get("parent"), answer.get("inherited") or {}
    if not parent:
        return ""
    words = {
        "whole": plural(brought.get("records", 0), "record") + " inherited",
        "missing": "what it inherits has not arrived yet, so nobody but stewards counts",
        "void": f"it inherits nothing, as its cut is not valid: {brought.get('why')}",
    }
    return f"{short_id(parent['circle'])} {parent['name']} ({words.get(str(brought.get('state')), '')})"


def _announced(fork: dict[str, Any]) -> str:
    """A fork that this node is not in."""
    return f"{short_id(fork.get('circle'))} {fork.get('name')} ({plural(fork.get('members', 0), 'member')} of this one in it)"


def _print_circle(answer: dict[str, Any]) -> None:
    later = answer.get("uncounted") or 0
    print(paint(marked(str(answer.get("name"))), "bold"))
    print_pairs(
        [
            ("circle", answer.get("circle")),
            ("purpose", answer.get("purpose")),
            ("you are", answer.get("me")),
            ("members", answer.get("members")),
            ("works", answer.get("works")),
            ("proposals", answer.get("proposals")),
            ("still syncing", "yes: these numbers may change" if answer.get("provisional") else ""),
            ("still counting", plural(later, "question") + " more: ask again in a while" if later else ""),
            ("forked from", _fork_of(answer)),
            ("forks of it", ", ".join(map(_announced, answer.get("announced") or []))),
            ("forks here", ", ".join(f"{short_id(one['circle'])} {one['name']}" for one in answer.get("forks") or [])),
        ]
    )
    if answer.get("roll"):
        print()
        print_table(
            ["MEMBER", "HOPS", "VOUCHED BY", ""],
            [
                [
                    short_id(member.get("key")),
                    str(member.get("hops", "")),
                    str(member.get("vouched_by", "")),
                    ", ".join(
                        word for word, told in (("steward", member.get("steward")), ("you", member.get("me"))) if told
                    ),
                ]
                for member in answer["roll"]
            ],
            flexible=3,
        )
    if answer.get("announced"):
        print("Come along in a fork with: p2pnode circle join ID")
    if answer.get("expelled"):
        mine = answer.get("me")
        print("Expelled: " + ", ".join(short_id(key) + " (you)" * (key == mine) for key in answer["expelled"]))
    for line in answer.get("advice") or []:
        print()
        print(safe(str(line)))
    if answer.get("open"):
        print()
        print_proposals(answer["open"])
    if answer.get("listed"):
        print()
        print_table(
            ["WORK", "TITLE"],
            [[short_id(hit.get("work")), str(hit.get("title"))] for hit in answer["listed"][:LISTED_SHOWN]],
            flexible=1,
        )


@circle.command()
@click.argument("circle")
@click.pass_obj
def charter(call: Call, circle: str) -> None:
    """Show a circle's rules: its stewards, what each class of decision takes, how long a vouch holds."""
    rules = call.ask("circle.show", {"circle": circle})["rules"]
    if call.json:
        print_json(rules)
        return
    print_pairs([("name", rules.get("name")), ("purpose", rules.get("purpose")), ("charter", rules.get("charter"))])
    print_pairs([("stewards", ", ".join(map(str, rules.get("stewards") or [])))])
    print()
    for what, words in charter_words(rules):  # sentences, which no column may clip
        print(f"{what.capitalize()}: {safe(words)}")
    print()
    for name, rule in (rules.get("classes") or {}).items():
        print(safe(f"--rule '{name} {rule_text(rule)}'"))
    print("These are the same rules as they are typed. Other ones: p2pnode propose charter --help")


@circle.command()
@click.argument("circle")
@click.option("--uses", type=int, help="How many people it lets in; one unless you say more.")
@click.option("--hours", type=Finite(0), metavar="HOURS", help="How long it holds; a week unless you say otherwise.")
@click.option("--qr", is_flag=True, help="Show it as a QR code, too.")
@click.pass_obj
def invite(call: Call, circle: str, uses: int | None, hours: float | None, qr: bool) -> None:
    """Make an invite: a link that lets somebody in. Your node vouches for whoever comes with it, and must be online then."""
    limits = {name: value for name, value in (("uses", uses), ("hours", hours)) if value is not None}
    answer = call.ask("circle.invite", {"circle": circle} | limits)
    if call.json:
        print_json(answer)
        return
    if qr:
        print_qr(str(answer.get("invite")))
    print(safe(str(answer.get("invite"))))


@circle.command()
@click.argument("circle")
@click.option("--close", metavar="ID", help="Close this one: nobody comes in with it any more.")
@click.pass_obj
def invites(call: Call, circle: str, close: str | None) -> None:
    """List your open invites into a circle, or close one."""
    if close is not None:
        answer = call.ask("circle.uninvite", {"circle": circle, "id": close})
        print_json(answer) if call.json else print("It is closed.")
        return
    items = call.items("circle.invites", {"circle": circle})
    if call.json:
        print_json_lines(items)
    elif not items:
        print("No invite into this circle is open. Make one with: p2pnode circle invite CIRCLE")
    else:
        print_table(
            ["ID", "USED", "HOLDS UNTIL"],
            [[str(one["id"]), f"{len(one['used_by'])} of {one['uses']}", moment(one["expires"])] for one in items],
            flexible=2,
        )


@circle.command()
@click.argument("invite", metavar="INVITE|FORK")
@click.option("--fork", is_flag=True, help="It is a fork of a circle of yours: the inviter learns your name there.")
@click.pass_obj
def join(call: Call, invite: str, fork: bool) -> None:
    """Join a circle with an invite. While the one who invited is not online the node waits, and tries again by itself.

    A fork of a circle of yours, which `circle show` names, is joined by its id: there you are who you are in that circle.
    """
    params = {"invite": invite} | ({"fork": True} if fork else {})
    answer = call.ask("circle.join", params, timeout_s=NETWORK_TIMEOUT_S)
    if call.json:
        print_json(answer)
    else:
        print_pairs(
            [("circle", answer.get("circle")), ("state", answer.get("state")), ("reason", answer.get("reason"))]
        )


@circle.command()
@click.argument("circle")
@click.option("--force", is_flag=True, help="Leave even as the only steward of others.")
@click.pass_obj
def leave(call: Call, circle: str, force: bool) -> None:
    """Leave a circle: this node forgets its records. What you signed there stays with the others."""
    answer = call.ask("circle.leave", {"circle": circle} | ({"force": True} if force else {}))
    if call.json:
        print_json(answer)
    else:
        print("You have left the circle.")


def _vouch(call: Call, method: str, circle: str, key: str) -> None:
    answer = call.ask(method, {"circle": circle, "key": key})
    if call.json:
        print_json(answer)
    else:
        print_pairs([("record", answer.get("record"))])
        if answer.get("expelled"):
            print("The circle has expelled that key: your vouch carries it once it is readmitted. To ask for that:")
            print(safe(f"p2pnode propose readmit {circle} {key} --reason WHY"))


@click.command(cls=Command)
@click.argument("circle")
@click.argument("key")
@click.pass_obj
def vouch(call: Call, circle: str, key: str) -> None:
    """Say, signed by your name in the circle, that you know KEY to be a distinct person."""
    _vouch(call, "vouch.give", circle, key)


@click.command(cls=Command)
@click.argument("circle")
@click.argument("key")
@click.pass_obj
def unvouch(call: Call, circle: str, key: str) -> None:
    """Take back that you vouched for KEY."""
    _vouch(call, "vouch.revoke", circle, key)
