"""Keys drawn as text that can also be clicked: the same look and the same effect wherever an action is named."""

from __future__ import annotations

from textual.content import Content
from textual.style import Style

from p2pnode.tui.actions import BY_ID, Action

ACTION_META = "p2pnode_action"


def click(action: str) -> Style:
    """What makes a piece of text do an action when it is clicked; the app looks for it."""
    return Style.from_meta({ACTION_META: action})


def key_link(action: str) -> Content:
    """The key of an action, drawn as a key."""
    shown = BY_ID[action].key_shown or "^p"
    return Content.styled(f" {shown} ", "$text on $primary-muted bold").stylize(click(action))


def footer_link(action: Action, *, disabled: bool) -> Content:
    """One entry of the footer; disabled ones are dimmed, and still say why when they are pressed."""
    key_style, label_style = (
        ("$foreground-disabled", "$foreground-disabled") if disabled else ("$text-accent bold", "$foreground")
    )
    content = Content.assemble((action.key_shown, key_style), " ", (action.label, label_style))
    return content.stylize(click(action.id))
