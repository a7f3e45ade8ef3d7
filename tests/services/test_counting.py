"""A whole circle is counted piece by piece: the first answer says what is still to come, the last one says everything."""

from __future__ import annotations

import pytest
import trio

from p2pnode.services import counting
from p2pnode.services.views import Views
from tests.support.people import people

pytestmark = pytest.mark.trio


async def test_the_first_answer_tells_what_is_not_counted_and_the_rest_is_counted_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with people("anna") as (anna,), trio.open_nursery() as nursery:
        circle = await anna.create()
        for title in ("One", "Two", "Three"):
            await anna.circles.work_questions.list(circle, await anna.publish(title), "")
        whole = await anna.circles.show(circle)
        assert (whole["uncounted"], whole["works"] + whole["proposals"]) == (0, 3)

        monkeypatch.setattr(counting, "PIECE", 1)
        monkeypatch.setattr(counting, "PATIENCE_S", 0.0)
        anna.views = Views(anna.store, anna.clock)  # as after a start
        circles = anna.new_circles()
        circles.counting.start(nursery)
        first = await circles.show(circle)
        assert first["uncounted"] > 0 and first["works"] + first["proposals"] + first["uncounted"] == 3
        assert (first["name"], first["members"]) == (whole["name"], whole["members"])

        with trio.fail_after(60):
            if (running := circles.counting._running.get(circle)) is not None:
                await running.wait()
        assert await circles.show(circle) == whole
        assert len(await circles.questions.of_circle(circle)) == 3
