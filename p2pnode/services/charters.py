"""A charter as people and programs read it, and what a new one would change. Pure; called by `questions`, `circles` and `history`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from p2pnode.core.charter import Charter, Class
from p2pnode.core.concerns import wants_grown_rules
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, RECORD_PREFIX, PublicKey, id_text
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.verdict import CircleView
from p2pnode.ports import Json
from p2pnode.services.partings import parting_lines


def told_charter(charter: Charter) -> Json:
    """Every rule by its name, as `propose charter` takes it."""
    told: Json = {
        "charter": id_text(RECORD_PREFIX, charter.id),
        "name": charter.name,
        "purpose": charter.purpose,
        "stewards": [id_text(KEY_PREFIX, key) for key in charter.stewards],
        "f": charter.f,
        "k": charter.k,
        "vouch_days": charter.vouch_days,
        "languages": list(charter.languages),
        "licences": list(charter.licences),
        "classes": {name: _class(rule) for name, rule in sorted(charter.classes.items())},
    }
    if charter.parent is not None:
        told["parent"] = id_text(CIRCLE_PREFIX, charter.parent)
    return told


def charter_changes(base: Charter, new: Charter) -> Json:
    """What differs: name -> [before, after]; of classes only those that change."""
    before, after = told_charter(base), told_charter(new)
    names = [name for name in after if name not in ("charter", "classes")]
    changes: Json = {name: [before.get(name), after[name]] for name in names if before.get(name) != after[name]}
    for name in sorted(before["classes"].keys() | after["classes"].keys()):
        rules = [told["classes"].get(name) for told in (before, after)]
        if rules[0] != rules[1]:
            changes[name] = rules
    return changes


def advice(view: CircleView, me: PublicKey) -> list[str]:
    """What this circle, or this member, would do well to do next; lines with the command."""
    circle, lines = id_text(CIRCLE_PREFIX, view.charter.circle), parting_lines(view)
    if wants_grown_rules(view):
        lines.append(
            f"{len(view.members)} members decide by rules for a few: no class of decision tolerates a single bad key."
            f" A steward can propose the rules for a grown circle: p2pnode propose charter {circle} --grown"
        )
    if view.is_member(me) and not view.is_steward(me) and len(view.vouchers(me)) == 1:
        lines.append(
            "Only one member vouches for you: when that vouch goes, your ballots count no more."
            f" Ask a second one to run: p2pnode vouch {circle} {id_text(KEY_PREFIX, me)}"
        )
    return lines


def _class(rule: Class) -> dict[str, Any]:
    told = asdict(rule)
    told["cooldown_days"] = told.pop("cooldown_s") / SECONDS_A_DAY
    return told
