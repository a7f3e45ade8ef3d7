"""Works on a terminal: one line while a search runs, a table for a library, a page for one work."""

from __future__ import annotations

from typing import Any

from p2pnode.cli.output import columns, moment, paint, plural, print_pairs, print_table, short_id, size
from p2pnode.cli.questions import print_proposals
from p2pnode.core.text import clip, marked, safe_lines

Object = dict[str, Any]

VERDICT_COLOURS = {"listed": "green", "rejected": "red", "taken_down": "red", "disputed": "yellow"}
VERDICT_WORDS = {"taken_down": "taken down"}
SUMMARY_LINES = 20
ENTRIES_SHOWN = 20


def print_hit_line(hit: Object) -> None:
    """A hit as it comes: id, size, the strongest verdict, title, creators."""
    verdict = _strongest(hit)
    known = "here" if hit.get("local") else ""
    head = f"{short_id(hit.get('work'))}  {size(hit.get('bytes')):>10}  {VERDICT_WORDS.get(verdict, verdict):<10}  {known:<4}  "
    creators = creators_text(hit)
    line = head + marked(str(hit.get("title"))) + (f"  ({marked(creators)})" if creators else "")
    limit = columns()
    line = line if limit is None else clip(line, limit)
    print(
        line.replace(verdict, paint(verdict, VERDICT_COLOURS[verdict]), 1) if verdict in VERDICT_COLOURS else line,
        flush=True,
    )


def print_hits(items: list[Object]) -> None:
    """The library as a table."""
    print_table(
        ["WORK", "STATE", "SIZE", "VERDICT", "LICENCE", "TITLE", "CREATORS"],
        [
            [
                short_id(item.get("work")),
                str(item.get("state") or "") + (" (private)" if item.get("private") else ""),
                size(item.get("bytes")),
                VERDICT_WORDS.get(_strongest(item), _strongest(item)),
                str(item.get("licence") or ""),
                str(item.get("title")),
                creators_text(item),
            ]
            for item in items
        ],
        flexible=5,
    )
    print(plural(len(items), "work"))


def print_work(work: Object) -> None:
    """Everything about one work."""
    print(paint(marked(str(work.get("title"))), "bold"))
    print_pairs(
        [
            ("work", work.get("work")),
            ("cid", work.get("cid")),
            ("kind", work.get("kind")),
            ("creators", creators_text(work, roles=True)),
            ("licence", work.get("licence")),
            ("language", work.get("language")),
            ("tags", ", ".join(map(str, work.get("tags") or []))),
            *(("identifier", f"{each.get('scheme')}:{each.get('value')}") for each in work.get("identifiers") or []),
            *(("source", source) for source in work.get("sources") or []),
            ("size", f"{size(work.get('bytes'))}, {plural(work.get('files'), 'file')}"),
            ("state", str(work.get("state") or "") + (", private" if work.get("private") else "")),
            ("signed by", work.get("author")),
            ("added", moment(work.get("added"))),
            ("path", work.get("path")),
            ("damaged", plural(work["damaged"], "block") + ": see p2pnode verify" if work.get("damaged") else ""),
            ("watched", watch_text(work.get("watch"))),
            *(("verdict", verdict_text(verdict)) for verdict in work.get("verdicts") or []),
        ]
    )
    _print_summary(work)
    _print_entries(work)
    if work.get("proposals"):
        print()
        print_proposals(work["proposals"])


def watch_text(watched: object) -> str | None:
    """How a published folder is watched, and what has changed in it; None when nobody watches."""
    if not isinstance(watched, dict):
        return None
    offer = watched.get("offer")
    if isinstance(offer, dict):
        counts = ", ".join(f"{offer[name]} {name}" for name in ("added", "changed", "removed") if offer.get(name))
        return f"changed ({counts or 'links or folders'}); to publish that: p2pnode publish --revises {short_id(watched.get('work'))}"
    return str(watched.get("reason") or watched.get("state") or "")


def _print_summary(work: Object) -> None:
    lines = safe_lines(str(work.get("summary") or ""), lines=SUMMARY_LINES)
    if lines:
        print("", *(f"  {line}" for line in lines), sep="\n")  # indented: no line of it can pass for one of ours


def _print_entries(work: Object) -> None:
    entries = work.get("entries") or []
    if len(entries) > 1:
        print()
        print_table(
            ["SIZE", "FILE"],
            [[size(entry.get("bytes")), str(entry.get("path"))] for entry in entries[:ENTRIES_SHOWN]],
            flexible=1,
        )
        more = (work.get("files") or len(entries)) - ENTRIES_SHOWN
        if more > 0:
            print(f"and {more} more")


def creators_text(work: Object, *, roles: bool = False) -> str:
    """Names in a row, with their roles where wanted and not the usual one."""
    parts = []
    for creator in work.get("creators") or []:
        role = creator.get("role")
        parts.append(
            f"{creator.get('name')} ({role})" if roles and role and role != "author" else str(creator.get("name"))
        )
    return ", ".join(parts)


def verdict_text(verdict: Object) -> str:
    """What one circle says: listed in Readers, 3 for, 1 against."""
    word = str(verdict.get("verdict"))
    where = verdict.get("name") or short_id(verdict.get("circle"))
    return f"{VERDICT_WORDS.get(word, word)} in {where}, {verdict.get('approve')} for, {verdict.get('reject')} against"


def _strongest(work: Object) -> str:
    """The one word for a line: a warning before a praise, a praise before nothing."""
    words = {str(verdict.get("verdict")) for verdict in work.get("verdicts") or []}
    return next((word for word in ("taken_down", "rejected", "disputed", "listed") if word in words), "new")
