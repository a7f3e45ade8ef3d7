"""A list of rows with columns, drawn line by line: only what is visible is ever rendered, ten thousand rows scroll smoothly.

Why not a ready-made table: the row under the cursor must never move by itself, one column must take the width that is left,
cells are clipped by terminal cells, and no text is ever read as markup. All lists of the screens are `Rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from p2pnode.tui.words import Answer


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `cells` wide, or 0 for the one that takes what is left."""

    label: str
    cells: int = 0
    least: int = 26
    """Cells the flexible column wants at least; fixed columns that do not fit beside it are left out."""
    right: bool = False
    keep: int = 1
    """Where not all columns fit, those with the lowest number leave first, of equals the last."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: a key that stays the same while it is updated, a cell for each column, an optional second line."""

    key: str
    cells: tuple[Content, ...]
    note: Content | None = None
    data: Answer = field(default_factory=dict)


class Rows(ScrollView, can_focus=True):
    """Rows with a cursor that follows its row's key, not its number."""

    DEFAULT_CSS = """
    Rows { height: 1fr; overflow-x: hidden; background: $surface; color: $foreground; }
    Rows > .rows--head { color: $text-muted; text-style: bold; }
    Rows > .rows--cursor { background: $primary 20%; }
    Rows:focus > .rows--cursor { background: $primary 45%; text-style: bold; }
    Rows > .rows--note { color: $text-muted; }
    """
    COMPONENT_CLASSES = {"rows--head", "rows--cursor", "rows--note"}  # noqa: RUF012  (Textual declares it so)
    BINDINGS = [  # noqa: RUF012
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(0)", "First", show=False),
        Binding("end", "edge(1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Chosen(Message):
        """Enter or a second click on a row."""

        def __init__(self, rows: Rows, row: Row) -> None:
            super().__init__()
            self.rows, self.row = rows, row

        @property
        def control(self) -> Rows:
            return self.rows

    class Highlighted(Message):
        """The cursor came to another row, or the row under it got new content."""

        def __init__(self, rows: Rows, row: Row | None) -> None:
            super().__init__()
            self.rows, self.row = rows, row

        @property
        def control(self) -> Rows:
            return self.rows

    def __init__(
        self, *columns: Column, id: str | None = None, notes: bool = False, head: bool = True, about: str = ""
    ) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.about = about
        """What help says about this list when it has the focus."""
        self._row_height = 2 if notes else 1
        self._head = 1 if head else 0
        self._rows: list[Row] = []
        self._cursor = 0

    @property
    def rows(self) -> list[Row]:
        return list(self._rows)

    @property
    def selected(self) -> Row | None:
        return self._rows[self._cursor] if self._cursor < len(self._rows) else None

    @property
    def line(self) -> Answer | None:
        """What the row under the cursor is about, as the node told it."""
        row = self.selected
        return row.data if row else None

    def put(self, rows: Iterable[Row]) -> None:
        """Replace all rows. The cursor stays on its key where that still exists, and on its place on the screen."""
        before = self.selected
        offset = self._top_of(self._cursor) - self.scroll_offset.y
        self._rows = list(rows)
        self._resize_content()
        self._settle(before, offset)

    def merge(self, rows: Iterable[Row]) -> None:
        """Update rows in place by key and append new ones: nothing that is on the screen moves."""
        fresh = {row.key: row for row in rows}
        self.put([*(fresh.pop(row.key, row) for row in self._rows), *fresh.values()])

    def refill(self, rows: Iterable[Row]) -> None:
        """Like `put`, but rows that were here before keep their order, gone ones leave and new ones come last."""
        fresh = {row.key: row for row in rows}
        kept = [fresh.pop(row.key) for row in self._rows if row.key in fresh]
        self.put([*kept, *fresh.values()])

    def select(self, key: str) -> bool:
        """Put the cursor on a key; False where there is none."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._move_to(index)
                return True
        return False

    def _settle(self, before: Row | None, offset: int) -> None:
        index = next((i for i, row in enumerate(self._rows) if before and row.key == before.key), None)
        if index is None:
            index = min(self._cursor, max(0, len(self._rows) - 1))
        elif index != self._cursor:
            self.scroll_to(y=max(0, self._top_of(index) - offset), animate=False, immediate=True)
        self._cursor = index
        self.refresh()
        if before != self.selected:
            self.post_message(self.Highlighted(self, self.selected))

    def _top_of(self, index: int) -> int:
        return self._head + index * self._row_height

    def _resize_content(self) -> None:
        height = self._head + len(self._rows) * self._row_height
        self.virtual_size = Size(max(1, self.scrollable_content_region.width), height)

    def on_resize(self, event: events.Resize) -> None:
        self._resize_content()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _move_to(self, index: int) -> None:
        if not self._rows:
            return
        self._cursor = min(max(0, index), len(self._rows) - 1)
        top = 0 if self._cursor == 0 else self._top_of(self._cursor)
        height = self._row_height + (self._head if self._cursor == 0 else 0)
        self.scroll_to_region(Region(0, top, 1, height), animate=False, force=True)
        self.refresh()
        self.post_message(self.Highlighted(self, self.selected))

    def action_move(self, step: int) -> None:
        self._move_to(self._cursor + step)

    def action_page(self, direction: int) -> None:
        self._move_to(self._cursor + direction * max(1, self.size.height // self._row_height - 1))

    def action_edge(self, last: int) -> None:
        self._move_to(len(self._rows) - 1 if last else 0)

    def action_choose(self) -> None:
        if row := self.selected:
            self.post_message(self.Chosen(self, row))

    def on_click(self, event: events.Click) -> None:
        index = (event.y + self.scroll_offset.y - self._head) // self._row_height
        if 0 <= index < len(self._rows):
            again = index == self._cursor and event.chain > 1
            self._move_to(index)
            if again:
                self.action_choose()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        line = y + self.scroll_offset.y
        if self._head and line == 0:
            return self._strip(self._line(lambda i: Content(self.columns[i].label), width), width, "rows--head")
        index, part = divmod(line - self._head, self._row_height)
        if not 0 <= index < len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        component = "rows--cursor" if index == self._cursor else None
        if part == 0:
            return self._strip(self._line(lambda i: row.cells[i], width), width, component)
        note = Content.assemble("  ", row.note or "").truncate(width, ellipsis=True)
        return self._strip(note, width, component or "rows--note")

    def _line(self, cell: Callable[[int], Content], width: int) -> Content:
        parts: list[Content] = []
        for index, cells in self._widths(width):
            content = cell(index).truncate(cells, ellipsis=True)
            gap = cells - content.cell_length
            parts.append(content.pad_left(gap) if self.columns[index].right else content.pad_right(gap))
        return Content("  ").join(parts)

    def _widths(self, width: int) -> list[tuple[int, int]]:
        """(column number, cells) of the columns that fit, in their order."""
        shown = list(range(len(self.columns)))
        flexible = [i for i in shown if not self.columns[i].cells]

        def left_over() -> int:
            return width - sum(self.columns[i].cells for i in shown) - 2 * (len(shown) - 1)

        while flexible and left_over() < self.columns[flexible[0]].least and len(shown) > 1:
            shown.remove(min((i for i in reversed(shown) if self.columns[i].cells), key=lambda i: self.columns[i].keep))
        return [(i, self.columns[i].cells or max(0, left_over())) for i in shown]

    def _strip(self, content: Content, width: int, component: str | None) -> Strip:
        style = self.get_visual_style(component) if component else self.visual_style
        segments = [
            Segment(text, part.rich_style)
            for text, part in content.render(style, end="", parse_style=self._get_style)
            if text
        ]
        return Strip(segments).adjust_cell_length(width, style.rich_style)
