"""Which pairs of homes connect how: two pairs in every run, all of them in a long one (the table: `scripts/nat_table`)."""

from __future__ import annotations

import pytest

from tests.nat import street
from tests.nat.pairs import Pair, all_pairs, meet
from tests.nat.rules import Kind

pytestmark = pytest.mark.network

REACHED = {Kind.PUBLIC, Kind.FULL_CONE, Kind.UPNP, Kind.IPV6_OPEN, Kind.IPV6_PINHOLE}
SAMPLE_MS = 40.0


def expected(pair: Pair) -> set[str]:
    """How a pair may end."""
    kinds = {pair.caller, pair.called}
    if kinds & REACHED:
        return {"direct", "mapped", "punched"}
    return {"relayed"} if Kind.SYMMETRIC in kinds else {"punched"}


@pytest.mark.parametrize(
    "pair",
    [Pair(Kind.PORT_RESTRICTED, Kind.DOUBLE), Pair(Kind.IPV6_FIREWALL, Kind.IPV6_FIREWALL)],
    ids=str,
)
def test_two_homes_meet(pair: Pair) -> None:
    street.needed(slow=True, upnp=True)
    met = meet(pair, round_trip_ms=SAMPLE_MS)
    assert met.way in expected(pair), met


@pytest.mark.long
@pytest.mark.parametrize("pair", all_pairs(), ids=str)
def test_every_two_homes_meet(pair: Pair) -> None:
    street.needed(slow=True, upnp=True)
    met = meet(pair)
    assert met.way in expected(pair), met
