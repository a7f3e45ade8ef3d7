"""The queue from which providers take: nothing is lost, nothing is asked of more than two, the end is shared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pnode.core.cid import RAW, Cid
from p2pnode.services.wants import ASKERS_PER_BLOCK, ENDGAME_BYTES, Wants

CIDS = [Cid.of(RAW, bytes([number])) for number in range(40)]
NAMES = ["a", "b", "c"]


def _wants(length: int = 10) -> Wants:
    wants = Wants()
    wants.add((cid, length) for cid in CIDS)
    return wants


def test_blocks_are_taken_in_order_up_to_the_window() -> None:
    wants = _wants()
    assert wants.take("a", set(), 30, 256) == CIDS[:3]
    assert wants.take("b", set(), 30, 2) == CIDS[3:5]
    assert wants.take("b", set(), 0, 2) == []


def test_what_a_provider_lacks_stays_for_others_in_its_place() -> None:
    wants = _wants()
    assert wants.take("a", {CIDS[0], CIDS[2]}, 20, 256) == [CIDS[1], CIDS[3]]
    assert wants.take("b", set(), 30, 256) == [CIDS[0], CIDS[2], CIDS[4]]


def test_what_is_given_back_comes_first() -> None:
    wants = _wants()
    wants.take("a", set(), 30, 256)
    wants.give_back("a", CIDS[1:3])
    assert wants.take("b", set(), 30, 256) == [CIDS[1], CIDS[2], CIDS[3]]


def test_the_last_blocks_are_asked_twice_from_the_far_end_and_not_three_times() -> None:
    wants = _wants(ENDGAME_BYTES // 2)
    assert wants.take("a", set(), 1 << 40, 256) == CIDS
    assert wants.take("b", set(), 1 << 40, 256) == [CIDS[-1], CIDS[-2]]
    assert wants.take("c", set(), 1 << 40, 256) == [CIDS[-3], CIDS[-4]]
    assert wants.came(CIDS[-1]) and not wants.came(CIDS[-1])
    wants.give_back("a", CIDS)
    assert CIDS[-2] not in wants.take("c", {CIDS[-2]}, 1 << 40, 256)


@given(st.integers(1, 500))
def test_one_provider_brings_everything(window: int) -> None:
    wants = _wants()
    while taken := wants.take("a", set(), window, 256):
        for cid in taken:
            assert wants.came(cid)
    assert not len(wants)


class Askers(RuleBasedStateMachine):
    """Three providers that take, bring, lack and vanish as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.wants = _wants()
        self.holding: dict[str, list[Cid]] = {name: [] for name in NAMES}
        self.lacks: dict[str, set[Cid]] = {name: set() for name in NAMES}
        self.came: set[Cid] = set()

    @rule(name=st.sampled_from(NAMES), window=st.integers(1, 200))
    def take(self, name: str, window: int) -> None:
        taken = self.wants.take(name, self.lacks[name], window, 8)
        assert not set(taken) & (self.came | self.lacks[name] | set(self.holding[name]))
        self.holding[name] += taken

    @rule(name=st.sampled_from(NAMES))
    def bring(self, name: str) -> None:
        if self.holding[name]:
            cid = self.holding[name].pop(0)
            assert self.wants.came(cid) == (cid not in self.came)
            self.came.add(cid)

    @rule(name=st.sampled_from(NAMES))
    def lack(self, name: str) -> None:
        if self.holding[name]:
            cid = self.holding[name].pop(0)
            self.lacks[name].add(cid)
            self.wants.give_back(name, [cid])

    @rule(name=st.sampled_from(NAMES))
    def vanish(self, name: str) -> None:
        self.wants.give_back(name, self.holding[name])
        self.holding[name] = []
        self.lacks[name] = set()

    @invariant()
    def nothing_is_lost_and_nobody_asks_thrice(self) -> None:
        assert len(self.wants) == len(CIDS) - len(self.came)
        for cid in set(CIDS) - self.came:
            askers = sum(cid in held for held in self.holding.values())
            assert askers <= ASKERS_PER_BLOCK
            assert askers or cid in self.wants._queue

    def teardown(self) -> None:
        """A fresh provider can always finish."""
        for name in NAMES:
            self.vanish(name)
        while taken := self.wants.take("fresh", set(), 1000, 256):
            for cid in taken:
                self.wants.came(cid)
        assert not len(self.wants)


TestAskers = Askers.TestCase
