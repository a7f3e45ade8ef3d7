"""Forms about this node: the name one publishes under, and an address to connect to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.widget import Widget

from p2pnode.tui.modals.form import Form, TextField, field_row
from p2pnode.tui.text import clean, clip

NAME_SHOWN_CELLS = 30


class NameForm(Form):
    """Dismissed with the answer of identity.set."""

    HEADING = "Your name"
    METHOD = "identity.set"

    def fields(self) -> Iterator[Widget]:
        now = self.node_app.identity
        yield field_row(
            "Name", TextField(clean(now.get("name") or ""), id="name", placeholder="as it stands under your works")
        )
        yield field_row("About", TextField(clean(now.get("about") or ""), id="about", placeholder="may be empty"))

    def collect(self) -> dict[str, Any]:
        params = {"name": self.required("name", "the name")}
        return params | ({"about": self.text_of("about")} if self.text_of("about") else {})

    def label(self) -> str:
        name = clip(self.text_of("name"), NAME_SHOWN_CELLS) if self.ready else ""
        return f"Publish as {name} from now on" if name else "Set the name"

    def explain(self) -> str:
        return "You sign it with your profile key, for your public works. In circles you have other names; this one never shows there."


class ConnectForm(Form):
    """Dismissed with the answer of peer.connect."""

    HEADING = "Connect to a node"
    METHOD = "peer.connect"

    def fields(self) -> Iterator[Widget]:
        yield field_row("Address", TextField(id="address", placeholder="/ip4/192.168.1.20/tcp/4001/p2p/12D3Koo…"))

    def collect(self) -> dict[str, Any]:
        return {"address": self.required("address", "the address")}

    def label(self) -> str:
        return "Connect"

    def explain(self) -> str:
        return "A friend finds theirs on Home (y copies it). It ends in /p2p/ and the node's peer ID."
