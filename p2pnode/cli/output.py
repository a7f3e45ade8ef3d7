"""What the command line prints: JSON for programs, lines and tables for people.

Everything that came from a peer passes `core.text` before a terminal sees it; tables are clipped to the terminal's width, and not
at all when the output is a file or a pipe. Never writes to stderr except through `note`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from p2pnode.core.text import clip, marked, safe, width

SHORT_ID_CHARACTERS = 12
"""Of an id in a table: its prefix and 50 bits, which nobody's library makes ambiguous."""
GAP = "  "
MIN_FLEXIBLE_CELLS = 12
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}

Object = dict[str, Any]


def print_json(value: Object, *, sort_keys: bool = False) -> None:
    """One object on one line, in ASCII: safe for every terminal and locale."""
    print(json.dumps(value, sort_keys=sort_keys), flush=True)


def print_json_lines(items: Iterable[Object]) -> None:
    """One object a line."""
    for item in items:
        print_json(item)


def note(text: str) -> None:
    """A remark for a person, beside the result."""
    print(safe(text), file=sys.stderr, flush=True)


def columns() -> int | None:
    """Cells of a line on stdout; None where nothing limits them."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def paint(text: str, colour: str) -> str:
    """Coloured where a terminal shows it and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, flexible: int) -> None:
    """Rows under headings; where the line is too long the column `flexible` gives way, then others go. Cells are made safe here."""
    cells = [[marked(cell) for cell in row] for row in rows]
    widths = [max(width(row[at]) for row in [list(headings), *cells]) for at in range(len(headings))]
    limit = columns()
    shown = list(range(len(headings)))
    if limit is not None:
        empty = [at for at in shown if not any(row[at] for row in cells)]
        for at in [*empty, *reversed(shown)]:
            others = sum(widths[one] for one in shown if one != flexible) + len(GAP) * (len(shown) - 1)
            if others + min(widths[flexible], MIN_FLEXIBLE_CELLS) <= limit:
                break
            if at in shown and at not in (0, flexible):  # the first column says which, the flexible one what
                shown.remove(at)
        others = sum(widths[one] for one in shown if one != flexible) + len(GAP) * (len(shown) - 1)
        widths[flexible] = max(MIN_FLEXIBLE_CELLS, min(widths[flexible], limit - others))
    kept = [widths[at] for at in shown]
    print(paint(_line([headings[at] for at in shown], kept, limit), "bold"))
    for row in cells:
        print(_line([row[at] for at in shown], kept, limit))


def _line(cells: Sequence[str], widths: Sequence[int], limit: int | None) -> str:
    parts = []
    for cell, cell_width in zip(cells, widths, strict=True):
        text = clip(cell, cell_width)
        parts.append(text + " " * (cell_width - width(text)))
    line = GAP.join(parts).rstrip()
    return line if limit is None else clip(line, limit)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Name and value, a pair a line; empty values are left out."""
    shown = [(name, str(value)) for name, value in pairs if value not in (None, "", [])]
    widest = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name.ljust(widest)}{GAP}{safe(value)}")


def size(count: object) -> str:
    """Bytes for people: 17 bytes, 1.5 MiB."""
    if not isinstance(count, int):
        return ""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{count} {'byte' if count == 1 else UNITS[0]}" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def plural(count: object, noun: str) -> str:
    """1 work, 2 works."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration(seconds: object) -> str:
    """42 s, 5 min, 3 h 20 min, 2 days."""
    if not isinstance(seconds, (int, float)):
        return ""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 1:
        return f"{int(seconds)} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 2 else f"{days} days"


def moment(seconds: object) -> str:
    """A time of day for people, here; empty for what is none."""
    if not isinstance(seconds, (int, float)):
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "?"


def short_id(text: object) -> str:
    """The beginning of an id, which every command takes for the whole."""
    return safe(str(text or ""))[:SHORT_ID_CHARACTERS]
