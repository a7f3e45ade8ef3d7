"""What a slow reader loses, and what never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.control.backlog import Backlog, TooSlowError


def drain(backlog: Backlog[str]) -> list[str]:
    out = []
    while (item := backlog.pop()) is not None:
        out.append(item)
    return out


def test_the_oldest_progress_goes_first_and_is_counted() -> None:
    backlog: Backlog[str] = Backlog(max_progress=2)
    backlog.push("p1", 1, progress=True)
    backlog.push("state", 1)
    backlog.push("p2", 1, progress=True)
    backlog.push("p3", 1, progress=True)
    assert backlog.take_dropped() == 1
    assert backlog.take_dropped() == 0
    assert drain(backlog) == ["state", "p2", "p3"]


def test_progress_gives_way_to_what_must_arrive() -> None:
    backlog: Backlog[str] = Backlog(max_bytes=10)
    for at in range(5):
        backlog.push(f"p{at}", 2, progress=True)
    backlog.push("answer", 9)
    assert backlog.take_dropped() == 5
    with pytest.raises(TooSlowError):
        backlog.push("more", 2)
    assert drain(backlog) == ["answer"]
    assert backlog.bytes == 0


@given(st.lists(st.tuples(st.sampled_from(["state", "progress", "pop"]), st.integers(1, 5)), max_size=60))
def test_order_and_bounds_hold(steps: list[tuple[str, int]]) -> None:
    backlog: Backlog[int] = Backlog(max_progress=3, max_bytes=20)
    sizes, kept, out, pushed_progress = {}, [], [], 0
    for at, (step, size) in enumerate(steps):
        sizes[at] = size
        if step == "pop":
            if (item := backlog.pop()) is not None:
                out.append(item)
            continue
        try:
            backlog.push(at, size, progress=step == "progress")
        except TooSlowError:
            continue
        pushed_progress += step == "progress"
        kept += [at] if step == "state" else []
        assert backlog.bytes <= 20
    while (item := backlog.pop()) is not None:
        out.append(item)
    assert out == sorted(out)
    assert [item for item in out if item in kept] == kept, "what is not progress never goes missing"
    assert backlog.dropped == pushed_progress - (len(out) - len(kept))
    assert backlog.bytes == 0
