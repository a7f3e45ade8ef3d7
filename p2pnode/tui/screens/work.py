"""Work: all about one work: manifest, files, the verdict of each circle with its bar, and why it is so."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.errors import P2pnodeError
from p2pnode.tui import words
from p2pnode.tui.background import in_background
from p2pnode.tui.draw import circle_name, fields, styled, tally, work_fields
from p2pnode.tui.page import Page, page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation, open_question
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.text import clean, clean_indented, clean_lines
from p2pnode.tui.words import Answer, number

ENTRIES_SENT = 200
"""Files the daemon names at most; the count above them tells how many there are."""


class WorkPage(Page):
    NAME = "work"
    BINDINGS = page_bindings("work")
    WATCHES = ("verdict.changed", "record.received", "work.fetched", "work.published")
    HELP_TEXT = "What was signed about the work, and what each circle decided. Move through the verdicts to read why."

    def __init__(self, work: str) -> None:
        super().__init__()
        self.work = work
        self.shown: Answer | None = None

    def body(self) -> Iterator[Widget]:
        with Horizontal(classes="columns"):
            with Vertical(classes="main"):
                about = VerticalScroll(Static("", markup=False, id="about"), id="about-scroll", can_focus=True)
                yield Panel(about, title="Work", id="about-panel")
                yield Panel(
                    Rows(
                        Column("File", least=18),
                        Column("Size", 9, right=True),
                        id="files",
                        head=False,
                        about="The files inside, the first 200.",
                    ),
                    title="Files",
                    id="files-panel",
                )
            with Vertical(classes="second"):
                verdicts = Rows(
                    Column("Circle", least=12),
                    Column("Verdict", 10, keep=2),
                    id="verdicts",
                    head=False,
                    notes=True,
                    about="What each circle decided. Beside it stands why.",
                )
                yield Panel(verdicts, title="Verdicts", id="verdicts-panel")
                why = VerticalScroll(Static("", markup=False, id="why"), id="why-scroll", can_focus=True)
                yield Panel(why, title="Why", id="why-panel")

    def on_mount(self) -> None:
        self.query_one("#verdicts", Rows).focus()

    @property
    def selected_verdict(self) -> Answer | None:
        return self.query_one("#verdicts", Rows).line

    def situation(self) -> Situation:
        mine, work = frozenset(self.node_app.my_circles), self.shown
        proposal = open_question(work, mine)
        if work and (entry := self.selected_verdict) and len(words.verdicts_of(work)) > 1:
            only = [e for e in words.verdicts_of(work) if e.get("circle") == entry.get("circle")]
            asked = [p for p in words.items(work, "proposals") if p.get("circle") == entry.get("circle")]
            proposal = open_question({**work, "verdicts": only, "proposals": asked}, mine)
        return self.base_situation(work=work, proposal=proposal, circle=self.selected_verdict)

    async def load(self) -> None:
        answer = await self.ask(self.query_one("#about-panel", Panel), "work.show", {"work": self.work})
        if answer is None:
            if self.shown is None:
                for id in ("files", "verdicts", "why"):
                    self.query_one(f"#{id}-panel", Panel).empty("Nothing to show without the manifest.")
            return
        self.shown = answer
        self._show(answer)
        await self._explain()

    def _show(self, work: Answer) -> None:
        about = self.query_one("#about-panel", Panel)
        self.query_one("#about", Static).update(manifest(work, self.node_app.clock()))
        about.filled()
        self._show_files(work)
        verdicts = words.verdicts_of(work)
        self.query_one("#verdicts", Rows).refill(verdict_row(entry) for entry in verdicts)
        panel = self.query_one("#verdicts-panel", Panel)
        if verdicts:
            panel.filled()
        else:
            panel.empty("No circle was asked about it.", "proposal.list")
        self.draw_chrome()

    def _show_files(self, work: Answer) -> None:
        entries, panel = words.items(work, "entries"), self.query_one("#files-panel", Panel)
        self.query_one("#files", Rows).refill(
            Row(
                str(entry.get("path", "")),
                (Content(clean(entry.get("path", ""))), Content(words.size(entry.get("bytes")))),
            )
            for entry in entries
        )
        count = number(work, "files")
        shown = f", the first {ENTRIES_SENT}" if count > len(entries) == ENTRIES_SENT else ""
        panel.border_title = Content(f"{words.plural(count or len(entries), 'file')}{shown}")
        if entries:
            panel.filled()
        else:
            panel.empty("What is inside is known once it is here.", "work.get")

    async def _explain(self) -> None:
        panel, entry = self.query_one("#why-panel", Panel), self.selected_verdict
        params = {"id": self.work} | ({"circle": entry["circle"]} if entry and entry.get("circle") else {})
        if entry is None:
            panel.empty("There is no verdict to explain.")
            return
        panel.border_title = Content(f"Why in {circle_name(entry)}")
        try:
            answer = await self.node_app.node.call("verdict.explain", params)
        except P2pnodeError as error:
            panel.error(error)
            return
        lines = answer.get("text")
        texts = [clean_indented(line) for line in lines] if isinstance(lines, list) else []
        self.query_one("#why", Static).update(Content("\n").join(map(Content, texts)))
        panel.filled()

    def on_rows_highlighted(self, event: Rows.Highlighted) -> None:
        super().on_rows_highlighted(event)
        if event.rows.id == "verdicts" and self.shown is not None:
            in_background(self, self._explain, "explain")

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.prevent_default()  # Textual calls the base's handler, too, which opens a work
        if event.rows.id == "verdicts":
            self.query_one("#why-scroll").focus()


def manifest(work: Answer, now: float) -> Content:
    """What was signed about a work, and by whom."""
    identifiers = [f"{entry.get('scheme', '')} {entry.get('value', '')}" for entry in words.items(work, "identifiers")]
    state = str(work.get("state", ""))
    more = fields(
        [
            ("state", words.WORK_STATES.get(state, clean(state)) + (", private" if work.get("private") else "")),
            ("signed by", signer(work)),
            ("added", words.ago(work["added"], now) if work.get("added") else ""),
            ("known as", words.listing(identifiers)),
            ("made from", words.listing(work.get("sources") or [])),
            ("lies at", clean(work.get("path") or "")),
        ]
    )
    parts = [styled(words.title(work), "bold"), Content("\n").join([work_fields(work), more])]
    if summary := work.get("summary"):
        parts.insert(1, Content("\n".join(clean_lines(summary))))
    return Content("\n\n").join(parts)


def signer(work: Answer) -> str:
    """The key that signed the manifest, and what kind of name it is."""
    key = words.short_id(work.get("author") or "")
    return f"{key}, a name for one circle only" if work.get("signed_as") == "pseudonym" else f"{key}, a profile"


def verdict_row(entry: Answer) -> Row:
    """One circle's verdict with its tally."""
    cells = (Content(circle_name(entry)), styled(words.verdict(entry), words.verdict_style(entry)))
    return Row(str(entry.get("circle", "")), cells, tally(entry, 8), entry)
