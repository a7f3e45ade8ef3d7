"""A circle's week on the simulated network: the same seed gives the same run, and what must hold holds; and the checks can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from p2pnode.core.charter import Class
from p2pnode.core.ids import CircleId, QuestionId
from p2pnode.sim import week
from p2pnode.sim.determinism import run
from p2pnode.sim.faults import NONE
from p2pnode.sim.resident import Resident
from p2pnode.sim.week import Plan, Report, Week

ROOT = Path(__file__).parents[2]
DEADLINE_S = 1200.0
"""For a simulated week on a loaded machine; alone it takes a minute or two."""


def play(**plan: object) -> Report:
    chosen = Plan(**plan)  # type: ignore[arg-type]
    return run(Week(chosen).play, chosen.seed)


def test_a_hundred_nodes_live_through_a_week(capsys: pytest.CaptureFixture[str]) -> None:
    """All that must hold is checked inside; here only that enough happened for it to mean something."""
    report = simulated(nodes=100, days=7, seed=1)
    with capsys.disabled():
        print(f"\n{report['proposed']} questions, {report['ballots']} ballots, {report['sessions']} streams, seed 1")
    assert report["proposed"] > 5 and report["ballots"] > 300 and report["adopted"] > 2 and report["attacks"] > 0


def test_one_seed_is_one_run_and_another_seed_another() -> None:
    digests = [simulated(nodes=12, days=2, seed=seed)["digest"] for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


def simulated(**plan: int) -> dict[str, Any]:
    """In a process of its own, as the order of sets is decided when a process starts."""
    options = [text for name, value in plan.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "scripts" / "sim"), *options, "--json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    return dict(json.loads(told.stdout))


def test_the_check_for_safety_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With rules that tolerate no bad key, the bad one gets through before anybody objects."""
    monkeypatch.setattr(week, "RULE", Class(b=1, q=1))
    monkeypatch.setattr("p2pnode.core.tally._prevails", lambda rule, k, for_, against: for_ > against)
    with pytest.raises(BaseException) as told:
        play(nodes=12, days=4, seed=5, faults=NONE)
    assert "lists what honest members reject" in told.value.__str__() or told.group_contains(
        week.Broken, match="reject"
    )


def test_the_check_for_liveness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that never heals they do not agree, and the seed is named."""

    async def stay_apart(self: Week) -> None:
        self.hub.part({one.network.peer_id: number for number, one in enumerate(self.residents)})

    monkeypatch.setattr(Week, "_settle", stay_apart)
    with pytest.raises(BaseException) as told:
        play(nodes=12, days=2, seed=6)
    assert told.group_contains(week.Broken, match="seed 6")


def test_the_check_for_lost_ballots_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = Resident.vote

    async def forgetful(self: Resident, circle: CircleId, question: QuestionId, choice: str) -> bool:
        done = await cast(self, circle, question, choice)
        if done:
            await self.store.write(lambda tx: tx.drop_record(self.cast[question]))
        return done

    monkeypatch.setattr(Resident, "vote", forgetful)
    with pytest.raises(BaseException) as told:
        play(nodes=12, days=7, seed=1)
    assert told.group_contains(week.Broken, match="lost")


@pytest.mark.long
def test_three_hundred_nodes_live_through_a_week() -> None:
    assert simulated(nodes=300, days=7, seed=2)["adopted"] > 2
