"""Small pictures made of text: bars, marks, and the side panel of a work. Pure functions from answers to `Content`.

Colours only repeat what glyphs and words say already, so that everything can be read without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.content import Content

from p2pnode.core.rule_words import change_words, standing_words
from p2pnode.tui import words
from p2pnode.tui.text import clean, clean_lines, marked
from p2pnode.tui.words import Answer, number

FOR, AGAINST, OPEN = "█", "▒", "·"
BAR_CELLS = 16
LABEL_CELLS = 11
HERE, AWAY = "●", "○"


def styled(text: str, style: str = "") -> Content:
    """Content of plain text; never markup."""
    return Content.styled(text, style) if style else Content(text)


def tally_bar(approve: int, reject: int, cells: int = BAR_CELLS) -> Content:
    """Counted ballots for and against, as shares of the bar; both sides show at least one cell where they have one."""
    total = approve + reject
    if not total:
        return styled(OPEN * cells, "$foreground-muted")
    green = min(cells - (reject > 0), max(approve > 0, round(cells * approve / total)))
    return Content.assemble((FOR * green, "$success"), (AGAINST * (cells - green), "$error"))


def tally(entry: Answer, cells: int = BAR_CELLS) -> Content:
    """The bar with its numbers in words."""
    approve, reject = number(entry, "approve"), number(entry, "reject")
    return Content.assemble(tally_bar(approve, reject, cells), f"  {approve} for, {reject} against")


def progress_bar(done: int, total: int, cells: int = BAR_CELLS) -> Content:
    """How much of something is there; an unknown total shows nothing as done."""
    filled = min(cells, cells * done // total) if total > 0 else 0
    return Content.assemble((FOR * filled, "$primary"), (OPEN * (cells - filled), "$foreground-muted"))


def percent(done: int, total: int) -> str:
    """Rounded down: 100 % means all of it."""
    return f"{100 * done // total} %" if total > 0 else ""


def verdict_cell(answer: Answer) -> Content:
    """The verdict of a work in one cell: that of the first circle that decided on it, and how many more did."""
    entries = [entry for entry in words.verdicts_of(answer) if entry.get("verdict") != "new"]
    if not entries:
        return styled("private" if answer.get("private") else "new", "$foreground-muted")
    more = f" +{len(entries) - 1}" if len(entries) > 1 else ""
    return Content.assemble((words.verdict(entries[0]), words.verdict_style(entries[0])), (more, "$foreground-muted"))


def here_mark(answer: Answer) -> Content:
    """Whether the content is on this machine."""
    return styled(HERE, "$success") if answer.get("local") else styled(AWAY, "$foreground-muted")


def circle_name(entry: Answer) -> str:
    """The circle of a verdict or proposal, by name where the daemon gave one."""
    return marked(entry.get("circle_name") or entry.get("name") or "") or words.short_id(entry.get("circle", ""))


def fields(pairs: Iterable[tuple[str, str | Content]], label_cells: int = LABEL_CELLS) -> Content:
    """Labels and values under each other; pairs without a value are left out."""
    lines = [
        Content.assemble((label.ljust(label_cells), "$foreground-muted"), value)
        for label, value in pairs
        if (value.plain if isinstance(value, Content) else value)
    ]
    return Content("\n").join(lines)


def verdict_block(entry: Answer, cells: int = BAR_CELLS) -> Content:
    """One circle's verdict: name, word, bar."""
    return Content.assemble(
        (circle_name(entry), "bold"),
        ": ",
        (words.verdict(entry), words.verdict_style(entry)),
        "\n",
        tally(entry, cells),
    )


def work_fields(answer: Answer) -> Content:
    """Who made a work, what it is, how large, under which licence, where."""
    return fields(
        [
            ("by", words.creators(answer, most=5)),
            ("kind", clean(answer.get("kind") or "")),
            ("licence", clean(answer.get("licence") or "") or styled("none given", "$text-warning")),
            ("size", f"{words.size(answer.get('bytes'))}, {words.plural(answer.get('files', 1), 'file')}"),
            ("here", "yes" if answer.get("local") else f"no, {_providers(answer)}"),
            ("language", clean(answer.get("language") or "")),
            ("tags", words.listing(answer.get("tags") or [])),
            ("work", words.short_id(answer.get("work", ""))),
            ("CID", words.short_id(answer.get("cid", ""))),
        ]
    )


def _providers(answer: Answer) -> str:
    count = answer.get("providers")
    return f"{words.plural(count, 'provider')} known" if count else "g fetches it"


def side(answer: Answer | None) -> Content:
    """What the side panel says about the work under the cursor."""
    if answer is None:
        return styled("Nothing is selected.", "$foreground-muted")
    parts = [styled(words.title(answer), "bold"), work_fields(answer)]
    if summary := answer.get("summary"):
        parts.append(Content("\n".join(clean_lines(summary))))
    entries = words.verdicts_of(answer)
    parts += [verdict_block(entry) for entry in entries]
    if not entries:
        parts.append(styled("No circle has decided on it.", "$foreground-muted"))
    return Content("\n\n").join(parts)


def before_after(changes: Iterable[tuple[str, str, str]]) -> Content:
    """A diff: what changes, how it was, how it would be. Signs say it without colour."""
    lines = []
    for what, before, after in changes:
        lines.append(styled(clean(what), "bold"))
        lines += [styled(f"  - {clean(before)}", "$text-error")] if before else []
        lines.append(styled(f"  + {clean(after)}", "$text-success"))
    return Content("\n").join(lines)


def proposal_changes(proposal: Answer) -> list[tuple[str, str, str]]:
    """What a proposal would change: of rules before and after, of a description what it would say."""
    changes = proposal.get("changes")
    if not isinstance(changes, Mapping):
        return []
    if proposal.get("class") in ("charter", "stewards"):
        rule = (proposal.get("standing") or {}).get("rule") or {}
        return change_words(changes, number(rule, "k") or 3)
    return [(str(name), "", words.field_value(value)) for name, value in changes.items()]


def question_beside(proposal: Answer) -> Content:
    """A question in the panel beside a list."""
    return Content("\n\n").join([styled(words.proposal_question(proposal), "bold"), question_fields(proposal)])


def question_fields(proposal: Answer) -> Content:
    """A question with everything one wants to know before a ballot: why, evidence, changes, turnout, what the lead withstands."""
    pieces = proposal.get("evidence")
    seals = proposal.get("seals")
    told = fields(
        [
            ("circle", circle_name(proposal)),
            ("by", words.short_id(proposal.get("by") or "")),
            ("because", " ".join(clean_lines(proposal.get("reason") or ""))),
            ("evidence", words.listing(pieces, 200) if isinstance(pieces, list) else ""),
            ("remedy", clean(proposal.get("remedy") or "")),
            ("so far", tally(proposal)),
            (
                "seals",
                f"{len(seals.get('by') or [])} of {number(seals, 'needed')}" if isinstance(seals, Mapping) else "",
            ),
            ("yours", clean(proposal.get("mine") or "")),
        ]
    )
    parts = [told]
    if changes := proposal_changes(proposal):
        parts.append(before_after(changes))
    if isinstance(proposal.get("standing"), Mapping):
        parts.append(Content("\n".join(map(clean, standing_words(proposal["standing"])))))
    return Content("\n\n").join(parts)
