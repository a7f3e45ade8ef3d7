"""Forms about circles: create one, with rules to begin with, and join one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.widget import Widget

from p2pnode.core.profiles import PROFILES
from p2pnode.errors import UsageError
from p2pnode.tui.modals.form import Form, TextField, choice, field_row
from p2pnode.tui.text import clip

INVITE_PREFIX = "p2pnode:"
FORK_PREFIX = "c-"
"""Of the id of a fork of a circle of ours, which one joins without an invite."""
NAME_SHOWN_CELLS = 30
NO_PROFILE = "none"


class CreateCircleForm(Form):
    """Dismissed with the answer of circle.create."""

    HEADING = "Create a circle"
    METHOD = "circle.create"

    def fields(self) -> Iterator[Widget]:
        yield field_row("Name", TextField(id="name", placeholder="what it is called"))
        yield field_row("Purpose", TextField(id="purpose", placeholder="what it collects and for whom; may be empty"))
        profiles = [("anybody: rules for a few, any licence", NO_PROFILE)]
        profiles += [(f"{one.title}", name) for name, one in PROFILES.items()]
        yield field_row("For", choice(profiles, id="profile", value=NO_PROFILE))

    def collect(self) -> dict[str, Any]:
        params = {"name": self.required("name", "the name")}
        params |= {"profile": self.chosen("profile")} if self.chosen("profile") != NO_PROFILE else {}
        return params | ({"purpose": self.text_of("purpose")} if self.text_of("purpose") else {})

    def label(self) -> str:
        name = clip(self.text_of("name"), NAME_SHOWN_CELLS) if self.ready else ""
        return f"Create “{name}” as its steward" if name else "Create, as its steward"

    def explain(self) -> str:
        profile = PROFILES.get(self.chosen("profile")) if self.ready else None
        return (f"{profile.words} " if profile else "") + (
            "You sign its charter with a new key of your own, used in this circle only. At first you alone decide everything, at "
            "once; each person you invite decides with you. Every rule can be changed later."
        )


class JoinCircleForm(Form):
    """Dismissed with the answer of circle.join."""

    HEADING = "Join a circle"
    METHOD = "circle.join"

    def fields(self) -> Iterator[Widget]:
        yield field_row("Invite", TextField(id="invite", placeholder=f"{INVITE_PREFIX}invite/…"))

    def collect(self) -> dict[str, Any]:
        invite = "".join(self.required("invite", "the invite").split())
        if not invite.startswith((INVITE_PREFIX, FORK_PREFIX)):
            raise UsageError("this is no invite", hint=f"an invite begins with {INVITE_PREFIX}; ask for a new one")
        return {"invite": invite}

    def label(self) -> str:
        return "Come along under your name there" if self._is_fork() else "Join under a new name"

    def _is_fork(self) -> bool:
        return self.ready and self.text_of("invite").startswith(FORK_PREFIX)

    def explain(self) -> str:
        if self._is_fork():
            return "In a fork you are who you are in the circle that it was forked from. You stay in that one, too."
        return (
            "You get a new key, used in this circle only; nothing signed links it to your other names. The inviter's node "
            "vouches for it, and must be online for that."
        )
