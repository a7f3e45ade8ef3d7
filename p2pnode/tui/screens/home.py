"""Home: how the node is in words, what to do next, what happened, who is connected."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.tui import words
from p2pnode.tui.advice import advice, is_first_run
from p2pnode.tui.draw import LABEL_CELLS, fields, progress_bar, styled
from p2pnode.tui.happenings import sentence, style
from p2pnode.tui.limit_rows import health_line, limit_rows, waiting_line
from p2pnode.tui.links import key_link
from p2pnode.tui.page import Page, page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.text import clean, clip
from p2pnode.tui.words import Answer, number

WELCOME = (
    "Welcome. This is your own node: it shares works with others, finds theirs, and decides with them what is good. "
    "There is no account and no server."
)
MIN_ADDRESS_CELLS = 20


class HomePage(Page):
    NAME = "home"
    BINDINGS = page_bindings("home")
    WATCHES = ("peer.connected", "peer.disconnected", "work.published", "work.fetched", "circle.joined")
    HELP_TEXT = "Home says how your node is doing, and what would help most now. Each line there names its key."

    def body(self) -> Iterator[Widget]:
        with Horizontal(classes="columns"):
            with Vertical(classes="main"):
                yield Panel(Static("", markup=False, id="node"), title="This node", id="node-panel")
                yield Panel(Static("", markup=False, id="next"), title="What to do next", id="next-panel")
                yield Panel(
                    Rows(
                        Column("", 12),
                        Column(""),
                        id="recent",
                        head=False,
                        about="What happened since this screen was opened, the newest first.",
                    ),
                    title="Recent",
                    id="recent-panel",
                )
            with Vertical(classes="side"):
                yield Panel(
                    Rows(
                        Column("Peer"),
                        Column("", 6),
                        Column("ms", 5, right=True),
                        id="peers",
                        about="The nodes yours is connected to now.",
                    ),
                    title="Peers",
                    id="peers-panel",
                )

    def situation(self) -> Situation:
        addresses = self.node_app.status.get("addresses")
        return self.base_situation(address=best_address(addresses if isinstance(addresses, list) else []))

    async def load(self) -> None:
        self._show_recent()
        panel = self.query_one("#node-panel", Panel)
        if (status := await self.ask(panel, "node.status")) is not None:
            self.node_app.status = status
            self.draw_chrome()
            self.common_changed()
        elif not self.node_app.status:
            self.query_one("#next-panel", Panel).empty(
                "What helps most is known once the node answers.", "page.refresh"
            )
        peers_panel = self.query_one("#peers-panel", Panel)
        if (answer := await self.ask(peers_panel, "peer.list")) is not None:
            self._show_peers(peers_panel, words.items(answer))

    def _show_peers(self, panel: Panel, peers: list[Answer]) -> None:
        self.query_one("#peers", Rows).refill(peer_row(peer) for peer in peers)
        if peers:
            panel.filled()
        else:
            panel.empty("No peer is connected.", "peer.connect", "peer.copy")

    def common_changed(self) -> None:
        status = self.node_app.status
        if not status:
            return
        self.query_one("#node", Static).update(self._node(status))
        self.query_one("#node-panel", Panel).filled()
        self.query_one("#next", Static).update(self._next(status))
        self.query_one("#next-panel", Panel).filled()
        self._show_recent()

    def _node(self, status: Answer) -> Content:
        stored, quota = number(status, "stored_bytes"), number(status, "quota_bytes")
        identity = self.node_app.identity
        name = clean(identity.get("name") or "") or "no name yet"
        address = self.situation().address
        bad, waits = health_line(status), waiting_line(status)
        return fields(
            [
                ("reachable", clean(status.get("reachability") or "not known yet")),
                *((("health", styled(bad, "$error")),) if bad else ()),
                *((("works wait", styled(waits, "$warning")),) if waits else ()),
                *reach_rows(status),
                ("peers", f"{number(status, 'peers')} connected"),
                (
                    "stored",
                    Content.assemble(progress_bar(stored, quota), f"  {words.size(stored)} of {words.size(quota)}"),
                ),
                (
                    "shelf",
                    f"{words.plural(number(status, 'works'), 'work')}, "
                    f"{words.plural(number(status, 'circles'), 'circle')}",
                ),
                ("you", f"{name}, {words.short_id(identity.get('profile_key') or '')}"),
                ("address", clip(address, self._cells_for_values())),
                (
                    "running",
                    f"for {words.duration(number(status, 'uptime_s'))}, version {clean(status.get('version', ''))}",
                ),
                *limit_rows(status),
            ]
        )

    def _cells_for_values(self) -> int:
        width = self.query_one("#node-panel", Panel).content_size.width
        return max(MIN_ADDRESS_CELLS, width - LABEL_CELLS)

    def _next(self, status: Answer) -> Content:
        app = self.node_app
        lines = [
            Content.assemble(key_link(piece.action), "  ", piece.text)
            for piece in advice(status, app.identity, waiting=app.waiting_ballots)
        ]
        if is_first_run(status, app.identity):
            lines.insert(0, styled(WELCOME))
        return Content("\n").join(lines)

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self.common_changed)

    def _show_recent(self) -> None:
        app, panel = self.node_app, self.query_one("#recent-panel", Panel)
        happenings = list(enumerate(app.happenings))
        self.query_one("#recent", Rows).put(
            Row(
                f"{each.at}-{index}",
                (
                    styled(words.ago(each.at, app.clock()), "$foreground-muted"),
                    styled(sentence(each.name, each.data, app.my_circles), style(each.name, each.data)),
                ),
            )
            for index, each in reversed(happenings)
        )
        if happenings:
            panel.filled()
        else:
            panel.empty("Nothing has happened since you opened this screen.")


def reach_rows(status: Answer) -> list[tuple[str, str]]:
    """What would make the node easier to reach, and what it does for others that are not; nothing where there is nothing to say."""
    reach = status.get("reach")
    if not isinstance(reach, dict):
        return []
    rows = [("would help", clean(reach["hint"]))] if reach.get("hint") and reach.get("state") != "alone" else []
    relay = reach.get("relay")
    if isinstance(relay, dict) and relay.get("on"):
        places, carried = words.plural(number(relay, "places"), "peer"), words.size(number(relay, "bytes"))
        rows.append(("relays", f"for others, within limits: {places}, {carried} carried"))
    return rows


def best_address(addresses: list[object]) -> str:
    """The address to give to a friend: one that is not loopback, where there is one."""
    texts = [clean(address) for address in addresses]
    return next((text for text in texts if "/127.0.0.1/" not in text and "/::1/" not in text), next(iter(texts), ""))


def peer_row(peer: Answer) -> Row:
    """A connected peer: its id, who dialled, how far away."""
    id = clean(peer.get("peer_id", ""))
    agent = clean(peer.get("agent") or "")
    direction = {"inbound": "came", "outbound": "called"}.get(str(peer.get("direction")), "")
    rtt = peer.get("rtt_ms")
    cells = (
        Content.assemble(words.short_id(id), (f"  {agent}", "$foreground-muted")),
        styled(direction, "$foreground-muted"),
        Content(f"{rtt:.0f}" if isinstance(rtt, int | float) else ""),
    )
    return Row(id, cells, data=peer)
