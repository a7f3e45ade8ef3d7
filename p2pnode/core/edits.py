"""What a circle made of a work's description: the fold of its adopted edits over the adopted listing (design 4.4).

It starts at the listing. Again and again: among adopted, unapplied edits whose base is the listing or an applied edit, the one with the
smallest (depth of its base, id) is taken. It is applied if none of the fields it changes was changed by an edit that was applied after its
base (so two edits that touch different fields both hold, whoever was first); else it is *stale*. It stops when none is left. Nothing is
erased: a revert is an edit that names the old values. Pure; called by `core.works`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from p2pnode.core.ids import QuestionId
from p2pnode.core.manifest import check_fields
from p2pnode.core.proposals import Question
from p2pnode.core.record import Value
from p2pnode.errors import DecodeError

CONTENT_FIELDS: Final = frozenset({"root", "bytes", "files"})
"""An edit that replaces the content names all three: a root without its size would be believed with the old one."""


@dataclass(frozen=True, slots=True)
class History:
    """`applied` in order; `stale` what was adopted and came too late. `fields` is what the applied edits say together.

    A field with an empty value was taken away. None of it is merged with the manifest: whoever holds that does it, by `overlay`.
    """

    applied: tuple[Question, ...] = ()
    stale: frozenset[QuestionId] = frozenset()

    @property
    def fields(self) -> dict[str, Value]:
        """The last word on every field that was changed."""
        merged: dict[str, Value] = {}
        for edit in self.applied:
            merged |= edit.patch
        return merged

    @property
    def tip(self) -> QuestionId | None:
        """What a new edit names as its base; None: the listing."""
        return self.applied[-1].id if self.applied else None


def fold(listing: QuestionId, adopted: Iterable[Question]) -> History:
    """Apply the adopted edits of a work that was listed by that question. Order and repetition do not matter."""
    waiting = {edit.id: edit for edit in adopted if is_applicable(edit.patch)}
    depth: dict[bytes, int] = {bytes(listing): 0}
    applied: list[Question] = []
    stale: set[QuestionId] = set()
    while True:
        ready = [edit for edit in waiting.values() if edit.base in depth]
        if not ready:
            return History(tuple(applied), frozenset(stale))
        edit = min(ready, key=lambda one: (depth[one.base], one.id))
        del waiting[edit.id]
        if _collides(applied, edit):
            stale.add(edit.id)
        else:
            applied.append(edit)
            depth[bytes(edit.id)] = depth[edit.base] + 1


def is_overtaken(listing: QuestionId, history: History, edit: Question) -> bool:
    """Whether an edit, adopted or not, can no longer be applied: its fields changed after its base, or it names no fields at all."""
    if edit in history.applied:
        return False
    on_record = edit.base == listing or any(edit.base == one.id for one in history.applied)
    return not is_applicable(edit.patch) or (on_record and _collides(history.applied, edit))


def _collides(applied: Sequence[Question], edit: Question) -> bool:
    place = next((number for number, one in enumerate(applied, 1) if one.id == edit.base), 0)
    return any(edit.patch.keys() & later.patch.keys() for later in applied[place:])


def is_applicable(patch: Mapping[str, Value]) -> bool:
    """Whether a patch changes something, and only what a manifest holds, within a manifest's limits."""
    touched = CONTENT_FIELDS & patch.keys()
    if not patch or (touched and touched != CONTENT_FIELDS):
        return False
    try:
        check_fields(patch)
    except DecodeError:
        return False
    return True


def overlay(work: Mapping[str, Value], fields: Mapping[str, Value]) -> dict[str, Value]:
    """A manifest's map with the edited fields in place; what was emptied is absent."""
    merged = {**work, **fields}
    return {name: value for name, value in merged.items() if value not in ("", ()) or name not in fields}


def patch_back(work: Mapping[str, Value], history: History, to: QuestionId | None) -> dict[str, Value]:
    """The patch that restores what the description said after the edit `to` (None: as `work` was listed)."""
    place = next((number for number, edit in enumerate(history.applied, 1) if edit.id == to), 0)
    then = overlay(work, History(history.applied[:place]).fields)
    now = overlay(work, history.fields)
    changed = {name for edit in history.applied[place:] for name in edit.patch}
    return {name: then.get(name, empty_like(now[name])) for name in sorted(changed) if then.get(name) != now.get(name)}


def empty_like(value: Value) -> Value:
    """What takes a field away: an empty text or array."""
    return () if isinstance(value, tuple) else ""
