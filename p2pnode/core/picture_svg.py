"""The picture of a question's flow as SVG: columns of keys by distance from the stewards, bands for the vouches along which ballots came.

Nobody need see colours: those for are round and blue with a plus, those against square and orange with a minus, what does not count is
hollow with a dashed rim, and every drawn thing has its words in a `title`. Circles of five show everybody; in large ones the keys that
carry most are drawn, and the others of a column as one mark for each kind. No script, no link, no font of its own. Pure; called by
`services.explain`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from p2pnode.core.picture import Picture, Side, short_key

COLUMNS = 6
"""Distances from the stewards that have a column of their own; farther keys share the last."""
SMALL_KEYS = 80
"""Members up to which a circle is small: most of its voters are drawn one by one."""
DRAWN_IN_SMALL, DRAWN_IN_LARGE, STEWARDS_DRAWN = 10, 3, 8
"""Keys of one column that are drawn one by one; stewards at least so many."""
BARE_VOUCHES = 60
"""Up to so many vouches are drawn although no ballot came along them: more would hide the others."""
COLUMN_PX, ROW_PX, TOP_PX, LEFT_PX, MARK_PX = 230, 46, 116, 40, 11
LEGEND_PX, MIN_WIDTH_PX = 74, 920
FOR, AGAINST, INK, PALE = "#0072B2", "#D55E00", "#222222", "#8a8a8a"
"""Blue and vermilion of a palette that every kind of colour blindness tells apart, and greys."""
SIDES: Final[Mapping[str, tuple[str, str]]] = {"for": (FOR, "+"), "against": (AGAINST, "\u2212")}


@dataclass(frozen=True, slots=True, order=True)
class _Mark:
    """What is drawn as one: a key, or `count` keys of one column that did the same. `said` are words; `kind` its class of marks."""

    column: int
    kind: str
    count: int
    label: str
    said: str


def svg(picture: Picture) -> str:
    """The whole file, a panel for each choice that somebody voted for. The same picture is the same text."""
    panels: list[_Panel] = []
    top = TOP_PX
    for side in picture.sides:
        if side.voters:
            panels.append(_Panel(picture, side, top))
            top += panels[-1].height
    width, height = max(MIN_WIDTH_PX, *(panel.width for panel in panels)), top + LEGEND_PX
    head = _headline(picture)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" aria-labelledby="title desc" font-family="sans-serif">',
            f'<title id="title">{escape(head[0])}</title>',
            f'<desc id="desc">{escape(" ".join(head))}</desc>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            _text(LEFT_PX, 34, head[0], size=20, weight="bold"),
            *(_text(LEFT_PX, 38 + 18 * row, line, size=13, fill="#444444") for row, line in enumerate(head[1:], 1)),
            *(line for panel in panels for line in panel.drawn()),
            *_legend(width, height),
            "</svg>\n",
        ]
    )


def _headline(picture: Picture) -> list[str]:
    told = " and ".join(f"{len(one.counted)} of {len(one.voters)} {one.choice}" for one in picture.sides)
    out = len(picture.left_out)
    left = f" Shown is the closest count, which leaves out {out} steward{'' if out == 1 else 's'}." if out else ""
    return [
        f"{picture.class_}: {picture.outcome}, {told} count",
        f"Ballots count as far as vouches lead to them from stewards.{left}",
        f"A key passes on at most {picture.k} ballots, its own among them, one vouch at most {picture.k // 3}, a steward any number.",
    ]


class _Panel:
    """One choice: where every mark stands, then bands between them. `top` is where it begins; `width` and `height` in pixels."""

    def __init__(self, picture: Picture, side: Side, top: int) -> None:
        self._picture, self._side, self._top = picture, side, top
        self._voters = frozenset(side.voters)
        self._weight: Counter[int] = Counter()
        for path in side.paths:
            self._weight.update(path)
        self._drawn_a_column = DRAWN_IN_SMALL if len(picture.members.keys) <= SMALL_KEYS else DRAWN_IN_LARGE
        self._mark_of: dict[int, _Mark] = {}
        columns = {column: self._place(column, keys) for column, keys in sorted(self._by_column().items())}
        self._columns = [column for column, marks in columns.items() if marks]
        self._at = {
            mark: (LEFT_PX + 30 + mark.column * COLUMN_PX, top + 62 + row * ROW_PX)
            for marks in columns.values()
            for row, mark in enumerate(marks)
        }
        self.width = LEFT_PX + (max(self._columns) + 1) * COLUMN_PX + 20
        self.height = 62 + max(map(len, columns.values())) * ROW_PX

    def drawn(self) -> list[str]:
        """Heads, then bands, then the marks over them."""
        colour = SIDES[self._side.choice][0]
        words = f"{self._side.choice.capitalize()}: {len(self._side.counted)} of {len(self._side.voters)} count"
        told = [_text(LEFT_PX, self._top + 8, words, size=15, weight="bold", fill=colour)]
        for column in self._columns:
            away = f"{column} vouch{'es' if column > 1 else ''} away" + (" or more" if column == COLUMNS - 1 else "")
            told.append(
                _text(
                    LEFT_PX + column * COLUMN_PX,
                    self._top + 30,
                    away if column else "stewards",
                    size=12,
                    fill="#444444",
                )
            )
        return [*told, *self._bands(), *(_drawn_mark(mark, *place) for mark, place in self._at.items())]

    def _by_column(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for key, hops in enumerate(self._picture.members.hops):
            found[min(hops, COLUMNS - 1)].append(key)
        return found

    def _kind(self, key: int) -> str:
        if key in self._voters:
            return f"{self._side.choice} {'counted' if key in self._side.counted else 'no room'}"
        return "passes on" if self._weight[key] else "silent"

    def _place(self, column: int, keys: list[int]) -> list[_Mark]:
        """The marks of a column: keys that carry most one by one, then a mark for each kind of the others."""
        ordered = sorted(keys, key=lambda key: (-self._weight[key], key not in self._voters, key))
        loud = [key for key in ordered if self._kind(key) != "silent" or column == 0]
        alone = loud[: max(self._drawn_a_column, STEWARDS_DRAWN if column == 0 else 0)]
        groups: dict[str, list[int]] = defaultdict(list)
        for key in ordered:
            if key not in alone:
                groups[self._kind(key)].append(key)
        marks = [self._remember(self._single(column, key), [key]) for key in alone]
        more = "more " if alone else ""
        return marks + [
            self._remember(_group(column, kind, len(group), more), group) for kind, group in sorted(groups.items())
        ]

    def _remember(self, mark: _Mark, keys: list[int]) -> _Mark:
        self._mark_of.update(dict.fromkeys(keys, mark))
        return mark

    def _single(self, column: int, key: int) -> _Mark:
        picture, kind, name = self._picture, self._kind(key), short_key(self._picture.members.keys[key])
        role = "steward" if key in picture.members.stewards else "member"
        role = "steward, left out of this count" if key in picture.left_out else role
        passes = self._weight[key] - int(kind.endswith("counted"))
        said = f"{name}, {role}: {WORDS[kind]}"
        said += f", {passes} ballot{'' if passes == 1 else 's'} of others came through it" if passes else ""
        label = name + (f", passes on {passes}" if passes else "") + (", left out" if key in picture.left_out else "")
        return _Mark(column, kind, 1, label, said)

    def _bands(self) -> list[str]:
        """The vouches: wide coloured ones along which ballots came, thin grey ones along which none did."""
        flows: Counter[tuple[_Mark, _Mark]] = Counter()
        for path in self._side.paths:
            flows.update((self._mark_of[by], self._mark_of[to]) for by, to in pairwise(path))
        vouches = {
            (self._mark_of[key], self._mark_of[to])
            for key, targets in enumerate(self._picture.members.vouches)
            for to in targets
        }
        bare = sorted(pair for pair in vouches - flows.keys() if pair[0].count == pair[1].count == 1)
        thin = [self._band(*pair, PALE, 0.8, "") for pair in bare] if len(bare) <= BARE_VOUCHES else []
        colour, choice = SIDES[self._side.choice][0], self._side.choice
        wide = []
        for (start, end), units in sorted(flows.items(), key=lambda item: (item[1], item[0])):
            words = f"{units} ballot{'' if units == 1 else 's'} {choice}, from {start.label} to {end.label}"
            if start != end:
                wide.append(self._band(start, end, colour, min(14.0, 1.5 + 1.2 * units**0.5), words))
        return thin + wide

    def _band(self, start: _Mark, end: _Mark, colour: str, width: float, words: str) -> str:
        (x, y), (to_x, to_y) = self._at[start], self._at[end]
        bow = x - 50 if x == to_x else (x + to_x) / 2  # within one column to the left
        way = f"M{x} {y} C{bow:g} {y} {bow:g} {to_y} {to_x} {to_y}"
        title = f"<title>{escape(words)}</title>" if words else ""
        look = f'stroke="{colour}" stroke-width="{width:.1f}" stroke-opacity="0.5"'
        look += "" if words else ' stroke-dasharray="2 4"'
        return f'<path d="{way}" fill="none" {look}>{title}</path>'


def _drawn_mark(mark: _Mark, x: int, y: int) -> str:
    rim = f'<circle cx="{x}" cy="{y}" r="{MARK_PX + 5}" fill="none" stroke="{INK}" stroke-width="1.5"/>'
    return (
        f"<g><title>{escape(mark.said)}</title>{rim if mark.column == 0 else ''}{_shape(mark.kind, x, y)}"
        f"{_text(x + MARK_PX + 7, y - 9, mark.label, size=12, halo=True)}</g>"
    )


def _legend(width: int, height: int) -> list[str]:
    """What the marks mean, in words beside each."""
    y, drawn = height - 30, []
    for place, kind in enumerate(WORDS):
        x = LEFT_PX + 10 + place * 140
        drawn.append(_shape(kind, x, y) + _text(x + 18, y + 4, LEGEND[kind], size=11))
    return [f'<line x1="{LEFT_PX}" y1="{y - 26}" x2="{width - 40}" y2="{y - 26}" stroke="#dddddd"/>', *drawn]


WORDS: Final[Mapping[str, str]] = {
    "for counted": "voted for, and it counts",
    "for no room": "voted for, and there was no room for it",
    "against counted": "voted against, and it counts",
    "against no room": "voted against, and there was no room for it",
    "passes on": "passes others' ballots on",
    "silent": "has no part in it",
}
"""Every kind of mark, told."""
LEGEND: Final[Mapping[str, str]] = {
    "for counted": "for, counts",
    "for no room": "for, no room",
    "against counted": "against, counts",
    "against no room": "against, no room",
    "passes on": "passes on only",
    "silent": "no part in it",
}


def _group(column: int, kind: str, count: int, more: str) -> _Mark:
    label = f"{count} {more}{LEGEND[kind]}"
    return _Mark(column, kind, count, label, f"{count} {more}keys: {WORDS[kind]}")


def _shape(kind: str, x: int, y: int) -> str:
    choice, _, state = kind.partition(" ")
    if choice not in SIDES:
        return (
            f'<circle cx="{x}" cy="{y}" r="{5 if kind == "silent" else 7}" fill="{PALE if kind == "silent" else INK}"/>'
        )
    colour, sign = SIDES[choice]
    counts = state == "counted"
    paint = f'fill="{colour if counts else "#ffffff"}" stroke="{colour}" stroke-width="2"'
    paint += "" if counts else ' stroke-dasharray="4 3"'
    r = MARK_PX
    shape = (
        f'<circle cx="{x}" cy="{y}" r="{r}" {paint}/>'
        if choice == "for"
        else f'<rect x="{x - r}" y="{y - r}" width="{2 * r}" height="{2 * r}" {paint}/>'
    )
    ink = "#ffffff" if counts else colour
    return shape + f'<text x="{x}" y="{y + 6}" font-size="17" text-anchor="middle" fill="{ink}">{sign}</text>'


def _text(x: int, y: int, words: str, *, size: int, weight: str = "normal", fill: str = INK, halo: bool = False) -> str:
    around = ' stroke="#ffffff" stroke-width="3" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}"{around}>{escape(words)}</text>'
    )
