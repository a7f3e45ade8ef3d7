"""What `scripts/crowd` says of its look-ups: who finds nothing waits for ever, and that is counted."""

from __future__ import annotations

import json

from scripts.benchmarks.crowd_figures import NEVER, Finds, as_json, table


def finds(seconds: list[float]) -> Finds:
    return Finds.of("find", seconds, aim_p50_ms=400.0, aim_p95_ms=1500.0)


def test_percentiles_are_held_against_the_aims() -> None:
    good = finds([0.1] * 90 + [1.0] * 10)
    assert (good.p50_ms, good.p95_ms, good.worst_ms, good.found, good.is_met) == (100.0, 1000.0, 1000.0, 100, True)
    assert not finds([0.5] * 100).is_met
    assert not finds([0.1] * 90 + [2.0] * 10).is_met


def test_what_is_not_found_counts_as_for_ever() -> None:
    few = finds([0.1] * 97 + [NEVER] * 3)
    assert few.is_met and few.found == 97 and few.worst_ms == 100.0
    many = finds([0.1] * 90 + [NEVER] * 10)
    assert many.p50_ms == 100.0 and many.p95_ms is None and not many.is_met
    assert finds([NEVER, NEVER]).p50_ms is None
    assert not finds([]).is_met


def test_the_table_and_the_json_say_what_was_missed() -> None:
    rows = [finds([0.1] * 100), finds([NEVER] * 100)]
    _, met, missed = table(rows)
    assert met.endswith("  met") and missed.endswith("MISSED")
    read = json.loads(as_json(rows, {"nodes": 100}))
    assert [row["met"] for row in read["finds"]] == [True, False]
    assert read["nodes"] == 100 and read["finds"][1]["p95_ms"] is None
