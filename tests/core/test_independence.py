"""Provisional until synced with min(3, existing) members vouched for by different members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.ids import PublicKey
from p2pnode.core.independence import independent, is_provisional


def k(name: str) -> PublicKey:
    return PublicKey(name.encode())


def graph(**vouchers: str) -> dict[PublicKey, list[PublicKey]]:
    return {k(member): [k(voucher) for voucher in names.split()] for member, names in vouchers.items()}


def test_alone_nothing_is_missing() -> None:
    assert not is_provisional(k("me"), [], graph(me="me"))


def test_of_two_one_suffices() -> None:
    roll = graph(founder="founder", me="founder")
    assert is_provisional(k("me"), [], roll)
    assert not is_provisional(k("me"), [k("founder")], roll)


def test_friends_of_one_member_count_once() -> None:
    roll = graph(founder="founder", me="founder", a="bad", b="bad", c="bad", bad="founder", d="me")
    assert is_provisional(k("me"), [k("a"), k("b"), k("c")], roll)
    assert is_provisional(k("me"), [k("a"), k("b"), k("d")], roll)
    assert not is_provisional(k("me"), [k("a"), k("d"), k("founder")], roll)


def test_strangers_and_oneself_do_not_count() -> None:
    roll = graph(founder="founder", me="founder")
    assert is_provisional(k("me"), [k("stranger"), k("me")], roll)


@given(st.dictionaries(st.integers(0, 5), st.sets(st.integers(0, 4), max_size=4), max_size=6))
def test_the_matching_is_the_largest(raw: dict[int, set[int]]) -> None:
    roll = {k(f"m{member}"): [k(f"v{voucher}") for voucher in sorted(who)] for member, who in raw.items()}
    best = _most(tuple(roll), roll, set())
    assert independent(roll, roll, enough=10) == best


def _most(order: tuple[PublicKey, ...], roll: dict[PublicKey, list[PublicKey]], taken: set[PublicKey]) -> int:
    """Every way of giving out vouchers, by trying all of them."""
    if not order:
        return 0
    best = _most(order[1:], roll, taken)
    for voucher in roll[order[0]]:
        if voucher not in taken:
            best = max(best, 1 + _most(order[1:], roll, taken | {voucher}))
    return best
