"""The list widget: its cursor follows its row, nothing under it moves, columns share the width."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from textual.app import App, ComposeResult
from textual.content import Content

from p2pnode.tui.rows import Column, Row, Rows


class RowsApp(App[None]):
    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.rows = rows

    def compose(self) -> ComposeResult:
        yield self.rows


def made(keys: Iterable[str]) -> list[Row]:
    return [Row(key, (Content(f"title of {key}"), Content(key))) for key in keys]


def lines(rows: Rows) -> list[str]:
    return [rows.render_line(y).text.rstrip() for y in range(rows.size.height)]


def key(rows: Rows) -> str:
    assert rows.selected is not None
    return rows.selected.key


@pytest.mark.asyncio
async def test_merging_hits_moves_nothing() -> None:
    rows = Rows(Column("Title"), Column("Key", 4))
    async with RowsApp(rows).run_test(size=(60, 8)) as pilot:
        rows.merge(made("bcd"))
        rows.focus()
        await pilot.press("down")
        before = lines(rows)[:4]
        rows.merge(made("adz"))
        assert lines(rows)[:4] == before
        assert [row.key for row in rows.rows] == list("bcdaz")
        assert key(rows) == "c"


@pytest.mark.asyncio
async def test_a_row_keeps_its_place_on_the_screen_when_rows_above_it_leave() -> None:
    rows = Rows(Column("Title"), Column("Key", 4))
    async with RowsApp(rows).run_test(size=(60, 6)) as pilot:
        rows.put(made(f"{number:03}" for number in range(40)))
        rows.focus()
        await pilot.press(*["down"] * 20)
        await pilot.pause()
        place = rows._top_of(20) - rows.scroll_offset.y
        rows.refill(made(f"{number:03}" for number in range(10, 60)))
        await pilot.pause()
        assert key(rows) == "020"
        assert rows._top_of(10) - rows.scroll_offset.y == place


@pytest.mark.asyncio
async def test_the_cursor_stays_in_range_when_its_row_is_gone() -> None:
    rows = Rows(Column("Title"), Column("Key", 4))
    async with RowsApp(rows).run_test(size=(60, 6)) as pilot:
        rows.put(made("abc"))
        rows.focus()
        await pilot.press("end")
        rows.put(made("ab"))
        assert key(rows) == "b"
        rows.put([])
        assert rows.selected is None
        await pilot.press("down", "pagedown", "end", "enter")


@pytest.mark.asyncio
async def test_ten_thousand_rows_render_only_what_is_visible() -> None:
    rows = Rows(Column("Title"), Column("Key", 6))
    async with RowsApp(rows).run_test(size=(60, 10)) as pilot:
        rows.put(made(f"{number:05}" for number in range(10_000)))
        rows.focus()
        await pilot.press("end")
        await pilot.pause()
        assert key(rows) == "09999"
        assert "title of 09999" in lines(rows)[-1]


@pytest.mark.asyncio
async def test_columns_that_do_not_fit_leave_the_least_important_first() -> None:
    columns = (Column("Title", least=10), Column("By", 10, keep=0), Column("Size", 8), Column("Verdict", 8, keep=2))
    rows = Rows(*columns)
    async with RowsApp(rows).run_test(size=(50, 4)) as pilot:
        assert lines(rows)[0].split() == ["Title", "By", "Size", "Verdict"]
        await pilot.resize_terminal(35, 4)
        await pilot.pause()
        assert lines(rows)[0].split() == ["Title", "Size", "Verdict"]
        await pilot.resize_terminal(24, 4)
        await pilot.pause()
        assert lines(rows)[0].split() == ["Title", "Verdict"]


@pytest.mark.asyncio
async def test_wide_characters_are_clipped_by_cells() -> None:
    rows = Rows(Column("Title", least=4), Column("Key", 3), head=False)
    async with RowsApp(rows).run_test(size=(15, 3)):
        rows.put([Row("a", (Content("日本の民謡の本"), Content("end")))])
        strip = rows.render_line(0)
        assert strip.cell_length == rows.scrollable_content_region.width
        assert strip.text.startswith("日本の")
        assert strip.text.rstrip().endswith("…   end") or "…  end" in strip.text


@pytest.mark.asyncio
async def test_enter_and_a_second_click_choose() -> None:
    chosen: list[str] = []

    class Choosing(RowsApp):
        def on_rows_chosen(self, event: Rows.Chosen) -> None:
            chosen.append(event.row.key)

    rows = Rows(Column("Title"), Column("Key", 4))
    async with Choosing(rows).run_test(size=(60, 6)) as pilot:
        rows.put(made("abc"))
        await pilot.click(rows, offset=(3, 2))
        assert key(rows) == "b"
        assert chosen == []
        await pilot.press("enter")
        await pilot.click(rows, offset=(3, 3), times=2)
        await pilot.pause()
        assert chosen == ["b", "c"]
