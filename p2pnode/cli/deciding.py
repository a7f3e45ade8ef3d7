"""Commands about what a circle is asked: proposals, review, vote, explain. Asking is `cli.proposing`."""

from __future__ import annotations

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.flow_picture import print_tree, refuse_taken, write_drawing
from p2pnode.cli.output import moment, plural, print_json, print_json_lines, print_pairs, short_id
from p2pnode.cli.questions import print_explanation, print_proposals, print_standing
from p2pnode.core.text import safe

CHOICES = ("approve", "reject", "abstain")
REVIEW_SHOWN = 5
"""Questions that `review` tells in full: a sitting's work, and a screen's room."""


@click.command(cls=Command)
@click.option("--circle", help="Only this circle's.")
@click.pass_obj
def proposals(call: Call, circle: str | None) -> None:
    """List the proposals of your circles."""
    items = call.items("proposal.list", {"circle": circle} if circle else {})
    if call.json:
        print_json_lines(items)
    elif not items:
        print("There are no proposals. Make one with: p2pnode propose list CIRCLE WORK")
    else:
        print_proposals(items)
        print(plural(len(items), "proposal"))


@click.command(cls=Command)
@click.option("--circle", help="Only this circle's.")
@click.pass_obj
def review(call: Call, circle: str | None) -> None:
    """Show what waits for your ballot, what calls you first. Each proposal calls a few members, so that somebody looks."""
    items = call.items("proposal.queue", {"circle": circle} if circle else {})
    if call.json:
        print_json_lines(items)
    elif not items:
        print("Nothing waits for your ballot. What was asked before: p2pnode proposals")
    else:
        for item in items[:REVIEW_SHOWN]:
            print_standing(item)
            print()
        calling = sum(bool(item.get("calls_you")) for item in items)
        more = f", the first {REVIEW_SHOWN} are shown" if len(items) > REVIEW_SHOWN else ""
        print(f"{plural(len(items), 'proposal')} to decide on{more}; what calls you comes first: {calling}.")
        print("Look closer with p2pnode explain PROPOSAL, decide with p2pnode vote PROPOSAL approve|reject|abstain.")


def _show_question(call: Call, proposal: str, choice: str | None) -> None:
    """How it stands, and what is signed under which name: before one chooses, or before the ballot is cast."""
    answer = call.ask("proposal.show", {"proposal": proposal})
    if call.json:
        print_json(answer)
        return
    print_standing(answer)
    if since := answer.get("adopted_since"):
        print(f"This node sees it adopted since {moment(since)}, and seals it after the waiting time.")
    signer, circle = short_id(answer.get("signed_as")), safe(str(answer.get("circle_name") or "that circle"))
    if not answer.get("member"):
        print(f"You are {signer} there, and no member today: your ballot would not count.")
    elif choice is None:
        print(f"You would sign as {signer}: p2pnode vote {short_id(answer.get('proposal'))} {'|'.join(CHOICES)}")
    else:
        print(f"You sign “{choice}” as {signer}, your name in {circle}; everybody there reads it.", flush=True)


@click.command(cls=Command)
@click.argument("proposal")
@click.argument("choice", type=click.Choice(CHOICES), required=False)
@click.option("--reason", help="Why; everybody in the circle can read it.")
@click.pass_obj
def vote(call: Call, proposal: str, choice: str | None, reason: str | None) -> None:
    """Cast your ballot on a proposal, signed by your name in its circle, after showing how it stands; a later one replaces it.

    Without a choice it only shows how it stands. With --json the answer tells in `standing` how it stood before.
    """
    if choice is None or not call.json:
        _show_question(call, proposal, choice)
    if choice is None:
        return
    answer = call.ask("ballot.cast", {"proposal": proposal, "choice": choice} | ({"reason": reason} if reason else {}))
    if call.json:
        print_json(answer)
    else:
        print_pairs([(name, answer.get(name)) for name in ("ballot", "choice")])
        print("It is cast. You can change it as long as you like: the newest counts.")


@click.command(cls=Command)
@click.argument("id", metavar="WORK|PROPOSAL")
@click.option("--circle", help="As this circle sees it.")
@click.option("--tree", is_flag=True, help="Draw, in text, which steward stands behind which ballot, and through whom.")
@click.option(
    "--picture", type=click.Path(), metavar="FILE.svg", help="Write the same as a drawing for a browser, to a new file."
)
@click.pass_obj
def explain(call: Call, id: str, circle: str | None, tree: bool, picture: str | None) -> None:
    """Explain a verdict: who counts, what they chose, and what would change it."""
    if picture is not None:
        refuse_taken(picture)
    given = {"circle": circle, "svg": picture is not None}
    answer = call.ask("verdict.explain", {"id": id} | {name: value for name, value in given.items() if value})
    drawing = answer.pop("svg", None)
    if picture is not None:
        write_drawing(picture, drawing)
    if call.json:
        print_json(answer, sort_keys=True)  # the verdict is the same bytes on every node
    else:
        print_explanation(answer)
        if tree:
            print_tree(answer)
        if picture is not None:
            print(f"The picture was written to {safe(picture)}.")
