"""Search: as one types, what is here at once, then what others answer. Hits never change places; new ones come last."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from p2pnode.errors import P2pnodeError
from p2pnode.tui import words
from p2pnode.tui.background import in_background
from p2pnode.tui.draw import here_mark, side, styled, verdict_cell
from p2pnode.tui.modals.form import TextField
from p2pnode.tui.page import page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation, open_question
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.side_page import SidePage
from p2pnode.tui.text import clean
from p2pnode.tui.words import Answer, number

LOCAL_DELAY_S = 0.15
"""After the last key, before this node is asked: shorter only repeats questions."""
NETWORK_DELAY_S = 0.6
"""After the last key, before others are asked: each question is seen by up to 32 peers, so half a word is not worth one."""
MIN_NETWORK_CHARACTERS = 3
"""Shorter texts are looked up here only, unless Enter asks for more."""
NOTHING_ASKED = "Nothing is looked for yet. Type a word of a title, a tag or a name."
COLUMNS = (
    Column("", 1, keep=9),
    Column("Title"),
    Column("By", 16),
    Column("Size", 9, right=True),
    Column("Verdict", 11, keep=2),
    Column("Licence", 14, keep=0),
)


class SearchField(TextField):
    """The field to type in; arrow down goes to the hits."""

    BINDINGS = [  # noqa: RUF012
        Binding("down", "screen.to_hits", "Hits", show=False),
        Binding("escape", "screen.to_hits", "Hits", show=False),
    ]
    about = (
        "Type words of the title, a tag or a name. This node is asked at once; a moment later up to 32 others, and they see "
        "what you look for. Enter asks them now. Down goes to the hits."
    )


class SearchPage(SidePage):
    NAME = "search"
    LIST, TITLE = "hits", "Works"
    BINDINGS = page_bindings("search")
    HELP_TEXT = "● lies on this machine, ○ is fetched with g. Searches are visible to the peers that are asked."

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Timer] = []
        self.asked = ""
        """The text whose hits are shown."""
        self._lens: dict[str, Any] = {}

    def body(self) -> Iterator[Widget]:
        yield Horizontal(
            Static("Search", markup=False, classes="label"),
            SearchField(id="text", placeholder="words of a title, a tag, a name"),
            classes="row searchbar",
        )
        yield from super().body()

    def list_rows(self) -> Rows:
        return Rows(*COLUMNS, id=self.LIST, about="Enter opens a work, g fetches it.")

    def focus_first(self) -> None:
        self.panel.empty(NOTHING_ASKED)
        self.focus_field()

    def situation(self) -> Situation:
        mine = frozenset(self.node_app.my_circles)
        return self.base_situation(work=self.selected, proposal=open_question(self.selected, mine))

    def focus_field(self) -> None:
        self.query_one(SearchField).focus()

    def action_to_hits(self) -> None:
        rows = self.rows
        self.set_focus(rows if rows.rows else None)

    async def load(self) -> None:
        """Search again for the same text; what another lens does not show goes."""
        if self.asked:
            if self._lens != self.node_app.lens_params:
                self.rows.put([])
                self._lens = self.node_app.lens_params
            self._begin(self.asked, local=False)

    @on(Input.Changed, "#text")
    def _typed(self, event: Input.Changed) -> None:
        text = event.value.strip()
        self._stop_timers()
        if not text:
            self._forget()
            return
        self._waiting = [self.set_timer(LOCAL_DELAY_S, lambda: self._begin(text, local=True))]
        if len(text) >= MIN_NETWORK_CHARACTERS:
            self._waiting.append(self.set_timer(NETWORK_DELAY_S, lambda: self._begin(text, local=False)))

    @on(Input.Submitted, "#text")
    def _entered(self, event: Input.Submitted) -> None:
        self._stop_timers()
        if text := event.value.strip():
            self._begin(text, local=False)
            self.action_to_hits()

    def _stop_timers(self) -> None:
        for timer in self._waiting:
            timer.stop()
        self._waiting = []

    def _forget(self) -> None:
        self.workers.cancel_group(self, "search")
        self.asked = ""
        self.rows.put([])
        panel = self.panel
        panel.border_title = Content("Works")
        panel.empty(NOTHING_ASKED)

    def _begin(self, text: str, *, local: bool) -> None:
        if text != self.asked:
            self.asked = text
            self.rows.put([])
            self.show_side()
        in_background(self, partial(self._search, text, local=local), "search")

    async def _search(self, text: str, *, local: bool) -> None:
        panel = self.panel
        if not self.rows.rows:
            panel.state = "loading"
            panel.loading_now("Looking here…" if local else "Asking others…")
        self._head("looking here…" if local else "asking others…")
        params: dict[str, Any] = {"text": text, **({"local": True} if local else {}), **self.node_app.lens_params}
        try:
            answer = await self.node_app.node.call("work.search", params, on_event=self._hit)
        except P2pnodeError as error:
            self._head("")
            if self.rows.rows:
                self.notify(clean(error.message), severity="warning", markup=False)
            else:
                panel.error(error)
            return
        self._add(words.items(answer))
        self._finish(panel, answer, local=local)

    def _hit(self, name: str, data: Answer) -> None:
        if name == "work.hit":
            self._add([data])

    def _add(self, hits: list[Answer]) -> None:
        rows = self.rows
        rows.merge(hit_row(hit) for hit in hits if hit.get("work"))
        if rows.rows:
            self.panel.filled()
        self.show_side()

    def _finish(self, panel: Panel, answer: Answer, *, local: bool) -> None:
        asked, answered = number(answer, "asked"), number(answer, "answered")
        more_comes = local and len(self.asked) >= MIN_NETWORK_CHARACTERS and bool(self._waiting)
        self._head("here" if local else f"here, and {answered} of {asked} asked answered")
        if self.rows.rows:
            return
        if more_comes:
            panel.loading_now("Nothing here. Asking others…")
        elif local:
            panel.empty("Nothing here has this in its title, tags or names. Enter asks others.")
        else:
            who = (
                f"{words.plural(asked, 'peer')} asked, {answered} answered" if asked else "no peer is connected to ask"
            )
            panel.empty(f"No work found ({who}). Try fewer or other words.", "search.focus")

    def _head(self, text: str) -> None:
        count = len(self.rows.rows)
        seen = f"seen {self.node_app.lens_words}" if self.node_app.lens_params else ""
        parts = [words.plural(count, "work") if count else "Works", text, seen]
        self.panel.border_title = Content(" · ".join(filter(None, parts)))

    def beside(self, line: Answer | None) -> Content:
        return side(line)


def hit_row(hit: Answer) -> Row:
    """A work that was found."""
    cells = (
        here_mark(hit),
        Content(words.title(hit)),
        styled(words.creators(hit, most=1), "$foreground-muted"),
        Content(words.size(hit.get("bytes"))),
        verdict_cell(hit),
        styled(clean(hit.get("licence") or "none given"), "$foreground-muted"),
    )
    return Row(str(hit.get("work", "")), cells, data=hit)
