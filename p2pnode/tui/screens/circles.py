"""Circles: those I am in, what each is asked, who is in it, what it lists."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from p2pnode.core.charter import GROWN_AT_MEMBERS
from p2pnode.core.rule_words import charter_words
from p2pnode.tui import words
from p2pnode.tui.background import in_background
from p2pnode.tui.draw import here_mark, styled, tally_bar, verdict_cell
from p2pnode.tui.links import click
from p2pnode.tui.page import Page, page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation, open_question
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.text import clean, marked
from p2pnode.tui.words import Answer, number

PANES = {"open": ("a", "Asked"), "members": ("m", "Members"), "listed": ("w", "Works"), "rules": ("c", "Charter")}
BAR_CELLS = 8
HOPS_SHOWN = "steps from a steward, by vouches"

WHAT_A_CIRCLE_IS = (
    "A circle is a community that decides together which works are good. Start one, and invite others to it."
)


class CirclesPage(Page):
    NAME = "circles"
    BINDINGS = page_bindings("circles")
    WATCHES = ("verdict.changed", "circle.joined", "circle.refused", "record.received", "work.published")
    HELP_TEXT = (
        "A circle decides together what it lists. a shows what it is asked (k why, v votes), m who is in it, w what it lists, c its rules. "
        "In each circle you have another key, so that nothing signed links your circles."
    )

    def __init__(self) -> None:
        super().__init__()
        self.pane = "open"
        self._shown: Answer | None = None
        self._wanted = ""

    def body(self) -> Iterator[Widget]:
        with Horizontal(classes="columns"):
            circles = Rows(
                Column("Circle", least=10), Column("asks", 4, right=True), id="circles", about="Your circles."
            )
            yield Panel(circles, title="My circles", id="circles-panel")
            with Vertical(id="circle"):
                yield Static("", markup=False, id="head")
                yield Static("", markup=False, id="panes")
                with ContentSwitcher(initial="open-panel", id="switch"):
                    yield from self._panels()

    def _panels(self) -> Iterator[Widget]:
        asked = Rows(
            Column("Question"),
            Column("Yours", 7),
            id="open",
            notes=True,
            about="What the circle is asked. Enter shows why it stands so, v votes on it, o opens the work.",
        )
        members = Rows(
            Column("Key", 12),
            Column("", least=8),
            Column("steps", 5, right=True),
            Column("vouches", 7, right=True),
            id="members",
            about=f"The roll: steps = {HOPS_SHOWN}. + vouches for somebody, - takes it back.",
        )
        listed = Rows(
            Column("", 1),
            Column("Title"),
            Column("By", 14),
            Column("Verdict", 10, keep=2),
            id="listed",
            about="What the circle decided to list. o opens, g fetches.",
        )
        yield Panel(asked, id="open-panel")
        yield Panel(members, id="members-panel")
        yield Panel(listed, id="listed-panel")
        rules = Rows(
            Column("Rule"),
            id="rules",
            head=False,
            notes=True,
            about="What a decision takes, in words. d proposes other rules; ^p has the rules for a grown circle.",
        )
        yield Panel(rules, id="rules-panel")

    def on_mount(self) -> None:
        self.query_one("#circles", Rows).focus()

    @property
    def selected_circle(self) -> Answer | None:
        return self.query_one("#circles", Rows).line

    def _selected_in(self, pane: str) -> Answer | None:
        return self.query_one(f"#{pane}", Rows).line if self.pane == pane and self._shown else None

    def situation(self) -> Situation:
        proposal, work = self._selected_in("open"), self._selected_in("listed")
        work = work or (proposal if proposal and proposal.get("work") else None)
        return self.base_situation(
            circle=self.selected_circle,
            rules=self._shown_rules(),
            member=self._selected_in("members"),
            proposal=proposal or open_question(work, frozenset(self.node_app.my_circles)),
            work=work,
        )

    def _shown_rules(self) -> Answer | None:
        """What circle.show said of the selected circle, if it is about that one."""
        selected = self.selected_circle
        return self._shown if self._shown and selected and self._shown.get("circle") == selected["circle"] else None

    def choose(self, circle: str) -> None:
        """Select a circle as soon as it is in the list."""
        self._wanted = circle

    async def load(self) -> None:
        panel = self.query_one("#circles-panel", Panel)
        if (answer := await self.ask(panel, "circle.list")) is None:
            if self._shown is None:
                self._show_none("Your circles are not known yet.")
            return
        circles = words.items(answer)
        rows = self.query_one("#circles", Rows)
        rows.refill(circle_row(circle) for circle in circles)
        if self._wanted and rows.select(self._wanted):
            self._wanted = ""
        if circles:
            panel.filled()
            await self._load_circle()
        else:
            panel.empty("You are in no circle.", "circle.create", "circle.join")
            self._show_none(WHAT_A_CIRCLE_IS)

    async def _load_circle(self) -> None:
        circle = self.selected_circle
        panel = self.query_one(f"#{self.pane}-panel", Panel)
        if circle is None:
            return
        if circle.get("state") == "waiting":
            self._show_waiting(circle)
            return
        if self._shown is None or self._shown.get("circle") != circle["circle"]:
            for pane in PANES:
                self.query_one(f"#{pane}-panel", Panel).state = "loading"
        answer = await self.ask(panel, "circle.show", {"circle": circle["circle"]})
        if answer is not None:
            self._shown = answer
            self._show(answer)

    def _show_waiting(self, circle: Answer) -> None:
        self._show_none(f"You wait to be let into “{marked(circle.get('name') or '')}”.")
        why = clean(circle.get("reason") or "") or "the inviter's node must be online for it"
        for pane in PANES:
            self.query_one(f"#{pane}-panel", Panel).empty(f"Not yet: {why}")

    def _show_none(self, text: str) -> None:
        self._shown = None
        self.query_one("#head", Static).update(Content(text))
        self.query_one("#panes", Static).update("")
        for pane in PANES:
            self.query_one(f"#{pane}-panel", Panel).empty("Nothing here without a circle.")

    def _show(self, circle: Answer) -> None:
        self.query_one("#head", Static).update(circle_head(circle))
        now = self.node_app.clock()
        asked, roll, listed = (words.items(circle, key) for key in ("open", "roll", "listed"))
        self._fill(
            "open",
            [proposal_row(p, now) for p in asked],
            "Nobody asks this circle anything. Open a work and press l to propose it.",
            "go.library",
            "go.search",
        )
        expelled = [member_row({"key": key, "expelled": True}) for key in circle.get("expelled") or []]
        self._fill("members", [*(member_row(m) for m in roll), *expelled], "Nobody is in it yet.", "circle.invite")
        rules = circle.get("rules")
        self._fill(
            "rules", rule_rows(rules) if isinstance(rules, dict) else [], "Its charter is not here yet.", "page.refresh"
        )
        self._fill(
            "listed",
            [listed_row(w) for w in listed],
            "It lists no work yet. Publish one in it, or propose one with l.",
            "work.publish",
        )
        self._show_panes()
        self.draw_chrome()

    def _fill(self, pane: str, rows: list[Row], why_empty: str, *actions: str) -> None:
        self.query_one(f"#{pane}", Rows).refill(rows)
        panel = self.query_one(f"#{pane}-panel", Panel)
        if rows:
            panel.filled()
        else:
            panel.empty(why_empty, *actions)

    def _show_panes(self) -> None:
        tabs = []
        for pane, (key, name) in PANES.items():
            count = sum(not (row.data or {}).get("expelled") for row in self.query_one(f"#{pane}", Rows).rows)
            style = "$text on $primary bold" if pane == self.pane else "$foreground-muted"
            tabs.append(styled(f" {key} {name} {count} ", style).stylize(click(f"pane.{pane}")))
        self.query_one("#panes", Static).update(Content(" ").join(tabs))

    def show_pane(self, pane: str) -> None:
        self.pane = pane
        self.query_one(ContentSwitcher).current = f"{pane}-panel"
        if self._shown is not None:
            self._show_panes()
        self.query_one(f"#{pane}", Rows).focus()
        self.draw_chrome()

    def on_rows_highlighted(self, event: Rows.Highlighted) -> None:
        row = event.row
        if event.rows.id == "circles" and row and row.key != (self._shown or {}).get("circle"):
            in_background(self, self._load_circle, "load")

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.prevent_default()  # Textual calls the base's handler, too, which opens a work
        if event.rows.id == "circles":
            self.show_pane(self.pane)
        elif event.rows.id == "members":
            self.node_app.say(about_member(event.row.data))
        elif event.rows.id == "rules":
            self.node_app.action_act("charter.change")
        elif event.rows.id == "open":
            self.node_app.action_act("question.open")
        else:
            super().on_rows_chosen(event)


def circle_head(circle: Answer) -> Content:
    """Name, purpose, and my key in it."""
    provisional = "not all records are here yet" if circle.get("provisional") else ""
    parts = [
        words.plural(number(circle, "members"), "member"),
        f"you are {words.short_id(circle.get('me') or '')}" if circle.get("me") else "",
        provisional,
    ]
    name = marked(circle.get("name") or "") or words.short_id(circle.get("circle", ""))
    purpose = clean(circle.get("purpose") or "") or "no purpose given"
    head = Content.assemble(
        (name, "bold"), f"  {purpose}", "\n", (" · ".join(filter(None, parts)), "$foreground-muted")
    )
    return Content("\n").join([head, *(styled(line, "$text-warning") for line in circle_advice(circle))])


def circle_advice(circle: Answer) -> list[str]:
    """What the circle, or I in it, would do well to do next: a line each, most of them with a key."""
    rules, lines = circle.get("rules"), [*map(_parting, words.items(circle, "parted"))]
    if forks := words.items(circle, "announced"):
        named = f"“{marked(forks[0].get('name') or '')}” ({words.short_id(forks[0].get('circle') or '')})"
        more = f" and {len(forks) - 1} more" if len(forks) > 1 else ""
        lines.append(f"Forked into {named}{more}: to come along, j and that id")
    classes = rules.get("classes") if isinstance(rules, dict) else None
    members = number(circle, "members")
    if members >= GROWN_AT_MEMBERS and isinstance(classes, dict) and not any(number(r, "b") for r in classes.values()):
        lines.append(f"{members} members, and rules for a few: ^p Grown rules proposes better ones")
    mine = next((member for member in words.items(circle, "roll") if member.get("me")), None)
    if mine and not mine.get("steward") and number(mine, "vouched_by") == 1:
        lines.append("Only one member vouches for you: ask a second one to press + on your key")
    return lines


def _parting(parting: Answer) -> str:
    futures = words.items(parting, "proposals")
    if not parting.get("split"):
        return "A steward sealed two futures of the rules, so those seals are void: k on the question says who"
    holds = next((words.short_id(one.get("proposal") or "") for one in futures if one.get("in_force")), "none")
    return f"This circle parts: {len(futures)} futures of its rules, {holds} holds. k on each question says the way out"


def rule_rows(rules: Answer) -> list[Row]:
    """The charter, a rule a row: what it is about, and below it what it says."""
    return [Row(what, (styled(what.capitalize(), "bold"),), styled(clean(said))) for what, said in charter_words(rules)]


def circle_row(circle: Answer) -> Row:
    """One of my circles; one that still waits to be let in says so."""
    name = marked(circle.get("name") or "") or words.short_id(circle.get("circle", ""))
    waiting = circle.get("state") == "waiting"
    asks = number(circle, "proposals")
    cells = (
        Content.assemble(name, ("  waiting", "$text-warning") if waiting else ""),
        styled(str(asks) if asks else "", "$text-accent"),
    )
    return Row(str(circle.get("circle", "")), cells, data=circle)


def proposal_row(proposal: Answer, now: float) -> Row:
    """A question to the circle, and below it what it still needs."""
    mine = clean(proposal.get("mine") or "")
    cells = (Content(words.proposal_question(proposal)), styled(mine or "–", "" if mine else "$text-accent"))
    note = Content.assemble(
        tally_bar(number(proposal, "approve"), number(proposal, "reject"), BAR_CELLS),
        f" {number(proposal, 'approve')} : {number(proposal, 'reject')} · ",
        " · ".join(filter(None, [clean(proposal.get("needs") or ""), words.ago(proposal.get("opened"), now)])),
    )
    return Row(str(proposal.get("proposal", "")), cells, note, proposal)


def member_row(member: Answer) -> Row:
    """A key on the roll."""
    told = (("you", "me"), ("steward", "steward"), ("expelled", "expelled"))
    notes = [word if member.get(name) else "" for word, name in told]
    cells = (
        Content(words.short_id(member.get("key", ""))),
        styled(", ".join(filter(None, notes)), "$text-accent"),
        Content("–" if member.get("expelled") else str(number(member, "hops"))),
        Content("–" if member.get("expelled") else str(number(member, "vouched_by"))),
    )
    return Row(str(member.get("key", "")), cells, data=member)


def about_member(member: Answer) -> str:
    """What can be done about a key on the roll."""
    if member.get("expelled"):
        return "The circle expelled this key. ^p Readmit proposes that it comes back."
    if member.get("me"):
        return "That is you. ^p Leave circle takes you out of it."
    if member.get("steward"):
        return "A steward. + vouches for this key, - takes your vouch back; ^p Recall steward, where you are one too."
    return "+ vouches for this key, - takes your vouch back, x proposes to expel it."


def listed_row(work: Answer) -> Row:
    """A work the circle lists."""
    cells = (
        here_mark(work),
        Content(words.title(work)),
        styled(words.creators(work, most=1), "$foreground-muted"),
        verdict_cell(work),
    )
    return Row(str(work.get("work", "")), cells, data=work)
