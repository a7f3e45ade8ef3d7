"""`propose`: putting a question to a circle, one command for each class of decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Group
from p2pnode.cli.output import print_json, print_pairs, short_id
from p2pnode.core.identifiers import split_identifier
from p2pnode.core.rule_words import foresight_words, parse_rule
from p2pnode.errors import UsageError

COMPLAINTS = ("licence", "corrupt", "duplicate", "metadata", "harmful", "off_topic")
CLASSES = ("list", "edit", "flag", "takedown", "appeal", "expel", "readmit", "stewards", "charter")
F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=Group)
def propose() -> None:
    """Put a question to a circle: about a work, a member, or the circle's own rules. Members decide with `vote`."""


def _reason(*, required: bool = False) -> Callable[[F], F]:
    return click.option(
        "--reason", required=required, help="Why, for the others to judge; everybody there can read it."
    )


def _propose(call: Call, class_: str, circle: str, reason: str | None, **params: Any) -> None:
    given = {name: value for name, value in params.items() if value is not None}
    asked = {"class": class_, "circle": circle} | ({"reason": reason} if reason else {}) | given
    answer = call.ask("proposal.open", asked)
    if call.json:
        print_json(answer)
    else:
        print_pairs([("proposal", answer.get("proposal"))])
        for line in foresight_words(answer.get("foresight") or {}):
            print(line)
        print("It counts once members approve, you too: p2pnode vote " + short_id(answer.get("proposal")) + " approve")


# ------------------------------------------------------------ works


@propose.command("list")
@click.argument("circle")
@click.argument("work")
@_reason()
@click.pass_obj
def propose_list(call: Call, circle: str, work: str, reason: str | None) -> None:
    """Propose that the circle lists the work."""
    _propose(call, "list", circle, reason, work=work)


@propose.command("flag")
@click.argument("circle")
@click.argument("work")
@click.option("--class", "complaint", type=click.Choice(COMPLAINTS), required=True, help="What is wrong with it.")
@click.option(
    "--evidence", multiple=True, metavar="WORK|URL", help="What shows it: a work, or an address; may be repeated."
)
@_reason(required=True)
@click.pass_obj
def propose_flag(call: Call, circle: str, work: str, complaint: str, evidence: tuple[str, ...], reason: str) -> None:
    """Complain about a work before the circle. Each class of complaint has its remedy, which is shown to its author."""
    _propose(call, "flag", circle, reason, work=work, complaint=complaint, evidence=list(evidence) or None)


@propose.command("takedown")
@click.argument("circle")
@click.argument("work")
@_reason(required=True)
@click.pass_obj
def propose_takedown(call: Call, circle: str, work: str, reason: str) -> None:
    """Propose that the circle takes the work off its list. Nobody's own copy is touched."""
    _propose(call, "takedown", circle, reason, work=work)


@propose.command("appeal")
@click.argument("circle")
@click.argument("work")
@_reason(required=True)
@click.pass_obj
def propose_appeal(call: Call, circle: str, work: str, reason: str) -> None:
    """Propose that a takedown of the work, or the complaint that labels it, is lifted."""
    _propose(call, "appeal", circle, reason, work=work)


@propose.command("edit")
@click.argument("circle")
@click.argument("work")
@click.option("--title", help="What the work is called.")
@click.option("--kind", help="What it is: book, paper, course, software, music, ...")
@click.option("--summary", help="What it is about, in a few sentences.")
@click.option("--licence", "--license", metavar="SPDX", help="An SPDX expression such as CC-BY-4.0.")
@click.option("--language", help="A language tag such as en or pt-BR.")
@click.option("--creator", "creators", multiple=True, metavar="NAME", help="Who made it, all of them; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="A word to find it by, all of them; may be repeated.")
@click.option(
    "--identifier",
    "identifiers",
    multiple=True,
    metavar="SCHEME:VALUE",
    help="Such as doi:10.1000/182; may be repeated.",
)
@click.option("--source", "sources", multiple=True, metavar="URL", help="Where it came from; may be repeated.")
@click.option("--content", metavar="CID", help="Another content, which this node holds whole.")
@click.option(
    "--clear", "cleared", multiple=True, metavar="FIELD", help="Take a field away, such as summary; may be repeated."
)
@_reason()
@click.pass_obj
def propose_edit(call: Call, /, circle: str, work: str, content: str | None, reason: str | None, **given: Any) -> None:
    """Propose that the circle's description of a work is changed. What you do not name stays; the author's own stays what it is."""
    _propose(call, "edit", circle, reason, work=work, content=content, fields=_fields(given))


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of an edit as the control method takes them."""
    cleared = given.pop("cleared")
    fields: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, ())}
    if "creators" in fields:
        fields["creators"] = [{"name": name} for name in fields["creators"]]
    if "identifiers" in fields:
        pairs = [split_identifier(text) for text in fields["identifiers"]]
        fields["identifiers"] = [{"scheme": scheme, "value": value} for scheme, value in pairs]
    for name in ("tags", "sources"):
        if name in fields:
            fields[name] = list(fields[name])
    for name in cleared:
        if name not in given or name == "title":
            raise UsageError(
                f"{name!r} is no field that can be taken away",
                hint="one of: " + ", ".join(sorted(set(given) - {"title"})),
            )
        fields[name] = None
    return fields


@propose.command("revert")
@click.argument("circle")
@click.argument("work")
@click.option(
    "--to",
    "revert_to",
    metavar="EDIT",
    default="listing",
    help="The edit after which it was right; left out: as it was listed.",
)
@_reason()
@click.pass_obj
def propose_revert(call: Call, circle: str, work: str, revert_to: str, reason: str | None) -> None:
    """Propose that the description is again what it was. It is an edit like any other: nothing is erased."""
    _propose(call, "edit", circle, reason, work=work, revert_to=revert_to)


@propose.command("withdraw")
@click.argument("proposal")
@click.pass_obj
def propose_withdraw(call: Call, proposal: str) -> None:
    """Take back what you proposed, as long as it is not adopted."""
    answer = call.ask("proposal.withdraw", {"proposal": proposal})
    print_json(answer) if call.json else print("It is taken back.")


# ------------------------------------------------------------ persons


@propose.command("expel")
@click.argument("circle")
@click.argument("key")
@_reason(required=True)
@click.pass_obj
def propose_expel(call: Call, circle: str, key: str, reason: str) -> None:
    """Propose that the member KEY is expelled: its ballots and vouches count no more, and it can be readmitted."""
    _propose(call, "expel", circle, reason, key=key)


@propose.command("readmit")
@click.argument("circle")
@click.argument("key")
@_reason()
@click.pass_obj
def propose_readmit(call: Call, circle: str, key: str, reason: str | None) -> None:
    """Propose that the expelled member KEY comes back."""
    _propose(call, "readmit", circle, reason, key=key)


# ------------------------------------------------------------ rules


@propose.command("stewards")
@click.argument("circle")
@click.option("--add", metavar="KEY", help="A member who becomes a steward.")
@click.option("--remove", metavar="KEY", help="A steward who resigns or is recalled.")
@click.option("--f", type=int, help="How many stewards may be bad from then on.")
@_reason()
@click.pass_obj
def propose_stewards(
    call: Call, circle: str, add: str | None, remove: str | None, f: int | None, reason: str | None
) -> None:
    """Propose that a member becomes a steward, or a steward is one no more. Only a steward can propose it."""
    if (add is None) == (remove is None):
        raise UsageError("say whom: either --add KEY or --remove KEY")
    _propose(call, "stewards", circle, reason, add=add, remove=remove, f=f)


@propose.command("charter")
@click.argument("circle")
@click.option("--name", help="What the circle is called.")
@click.option("--purpose", help="What it is for, in a sentence.")
@click.option(
    "--licence",
    "licences",
    multiple=True,
    metavar="SPDX",
    help="A licence that works here may have, all of them; may be repeated.",
)
@click.option("--language", "languages", multiple=True, help="A language of the circle, all of them; may be repeated.")
@click.option("--k", type=int, help="Ballots that one member's vouches can carry: 3, 6, 12, 24, 48 or 96.")
@click.option("--f", type=int, help="How many stewards may be bad.")
@click.option("--vouch-days", type=int, help="Days that a vouch holds.")
@click.option("--grown", is_flag=True, help="The rules for a circle of a dozen members or more.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    help="One class of decision, such as 'list b=1 q=3' or 'expel b=3 q=8 cooldown=7 sealed supermajority'; may be repeated.",
)
@_reason()
@click.pass_obj
def propose_charter(call: Call, /, circle: str, rules: tuple[str, ...], reason: str | None, **given: Any) -> None:
    """Propose other rules for the circle. What you do not name stays as it is. Only a steward can propose it."""
    told = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None and value is not False and value != ()  # 0 is said, too: `--f 0`
    }
    if rules:
        told["classes"] = dict(read_rule(text) for text in rules)
    _propose(call, "charter", circle, reason, rules=told)


def read_rule(text: str) -> tuple[str, dict[str, Any]]:
    """From `expel b=3 q=8 cooldown=7 sealed` to the class's name and its rule. UsageError for what cannot be read."""
    name, _, rule = text.strip().partition(" ")
    if name not in CLASSES:
        raise UsageError(f"{name!r} is no class of decision", hint="one of: " + ", ".join(CLASSES))
    return name, parse_rule(rule)
