"""Commands about what this node keeps: unpublish, pin, unpin, remove, storage, verify."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import moment, note, plural, print_json, print_pairs, print_table, short_id, size
from p2pnode.cli.progress import Progress
from p2pnode.core.text import safe

DAMAGED = 1
"""Exit status of `verify` when something is damaged and was not mended."""
NO_LIMIT_S = None


@click.command(cls=Command)
@click.argument("work")
@click.pass_obj
def unpublish(call: Call, work: str) -> None:
    """Stop sharing a work of your own; your files stay where they are, untouched.

    From now on this node neither provides nor serves nor lists it, and answers no search with it. What was told cannot be taken back:
    who fetched it has it and may share it on, who found it may remember its title and description, and other nodes may name this one
    as its source for a day. In a circle the signed manifest and the votes about it stay in the circle's records. Publishing the same
    files again makes a new work.
    """
    answer = call.ask("work.unpublish", {"work": work}, timeout_s=NO_LIMIT_S)
    if call.json:
        print_json(answer)
        return
    print(f"No longer shared: {safe(str(answer.get('title')))}")
    if answer.get("shared_with"):
        note("its files are still shared: another work of yours has the same content")
    if answer.get("in_circle"):
        note("its manifest and the votes about it stay in the circle's records")


@click.command(cls=Command)
@click.argument("work", metavar="WORK|CID")
@click.pass_obj
def pin(call: Call, work: str) -> None:
    """Promise to keep what is here: it is never let go for want of space.

    What `p2pnode get` fetches is pinned already.
    """
    _promise(call, "work.pin", work)


@click.command(cls=Command)
@click.argument("work", metavar="WORK|CID")
@click.pass_obj
def unpin(call: Call, work: str) -> None:
    """Release that promise: the work stays, and may go when space is needed.

    It goes only if another node proved to have it. In which order works go is shown by `p2pnode storage`; to free its space now,
    use `p2pnode remove`.
    """
    _promise(call, "work.unpin", work)


def _promise(call: Call, method: str, work: str) -> None:
    answer = call.ask(method, {"work": work})
    if call.json:
        print_json(answer)
        return
    name = safe(str(answer.get("title") or answer.get("cid")))
    if answer.get("pinned"):
        print(f"Pinned: {name}" + ("" if answer.get("state") == "complete" else " (it is not here in full)"))
    else:
        print(f"No longer pinned: {name}")


@click.command(cls=Command)
@click.argument("work", metavar="WORK|CID")
@click.pass_obj
def remove(call: Call, work: str) -> None:
    """Free the space of a fetched work at once; `p2pnode get` fetches it again.

    A transfer of it is cancelled. Bytes that another work here needs stay. A work of your own is not removed: see `p2pnode unpublish`.
    """
    answer = call.ask("work.remove", {"work": work}, timeout_s=NO_LIMIT_S)
    if call.json:
        print_json(answer)
        return
    print(f"Removed: {safe(str(answer.get('title') or answer.get('cid')))}, {size(answer.get('freed_bytes'))} are free")
    print(f"To have it again: {answer.get('undo')}")
    if answer.get("shared_bytes"):
        note(f"{size(answer['shared_bytes'])} stay: other works here have them, too")


@click.command(cls=Command)
@click.pass_obj
def storage(call: Call) -> None:
    """Show what the store holds against its limits, and in which order works would go.

    Only what is not pinned can go, when a fetch needs space: unfinished fetches that nobody waits for first, then works by the day of
    their last use, of one day those first that most others hold, then the largest. Pinned works, your own, and whatever no other node
    proved to have within a day stay. With --json one object.
    """
    answer = call.ask("storage.show")
    if call.json:
        print_json(answer)
        return
    print_pairs(
        [
            ("stored", f"{size(answer.get('owned_bytes'))} of {size(answer.get('quota_bytes'))} (quota_bytes)"),
            ("free disk", f"{size(answer.get('free_bytes'))}, of which {size(answer.get('floor_bytes'))} stay free"),
            ("room", size(answer.get("room_bytes"))),
            ("could go", size(answer.get("evictable_bytes"))),
        ]
    )
    if answer.get("items"):
        print()
        print_table(
            ["GOES", "SIZE", "USED", "COPIES", "WORK", "TITLE", "WHY"],
            [_row(item) for item in answer["items"]],
            flexible=5,
        )


def _row(item: dict[str, Any]) -> list[str]:
    works = item.get("works") or []
    title = str(works[0].get("title")) if works else str(item.get("cid"))
    reason = str(item.get("reason"))
    damaged = f"; {plural(item['damaged'], 'damaged block')}" if item.get("damaged") else ""
    return [
        str(item.get("order") or "-"),
        size(item.get("bytes")),
        moment(item.get("used")),
        str(item.get("copies")),
        short_id(works[0].get("work")) if works else "",
        title,
        reason + damaged,
    ]


@click.command(cls=Command)
@click.argument("work", metavar="[WORK|CID]", required=False)
@click.option("--repair", is_flag=True, help="Fetch what is damaged again, from who has it.")
@click.pass_obj
def verify(call: Call, work: str | None, repair: bool) -> None:
    """Read again what is held, all of it or one work, and compare every byte with its hash.

    What is damaged is never served. Files of your own are only read: one that has changed is left as it is, to be published again with
    --revises. The node does the same by itself, a little every day. Exit status 1 if something is damaged in the end.
    """
    params: dict[str, Any] = {"repair": True} if repair else {}
    if work is not None:
        params["work"] = work
    with Progress() as progress:
        answer = call.ask("store.verify", params, progress.update, timeout_s=NO_LIMIT_S)
    if call.json:
        print_json(answer)
    else:
        _print_verified(answer, repair)
    if answer.get("damaged_blocks"):
        raise click.exceptions.Exit(DAMAGED)


def _print_verified(answer: dict[str, Any], repair: bool) -> None:
    print(f"Read {size(answer.get('bytes'))}, {plural(answer.get('blocks'), 'block')}.")
    if answer.get("mended"):
        print(f"{plural(answer['mended'], 'block')} that had been damaged are right again.")
    for item in answer.get("repairs") or []:
        print(f"{item.get('state')}: {safe(str(item.get('cid')))} ({safe(str(item.get('reason')))})")
    items = answer.get("items") or []
    if not answer.get("damaged_blocks"):
        print("Everything is as it should be.")
        return
    print(f"Damaged: {plural(answer.get('damaged_files'), 'file')}, {plural(answer['damaged_blocks'], 'block')}.")
    for item in items:
        title = ", ".join(str(work.get("title")) for work in item.get("works") or []) or str(item.get("cid"))
        print(f"  {safe(str(item.get('path') or title))}: {safe(str(item.get('words')))}")
    if not repair and any(item.get("owned") for item in items):
        note("to fetch again what the library lost: p2pnode verify --repair")
