"""Ready-made rules make valid charters of licences that exist."""

from __future__ import annotations

import pytest

from p2pnode.core.charter import DEFAULT_CLASSES, VOUCH_DAYS, Charter, genesis
from p2pnode.core.profiles import A_YEAR, PROFILES
from p2pnode.core.records import seq_of
from p2pnode.local.licence import check_licence, is_allowed
from tests.core.circles import person

NOW = 1_780_000_000


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_makes_a_valid_charter_in_which_a_lone_founder_can_act(name: str) -> None:
    rules = PROFILES[name]
    record = genesis(
        person("founder"), name=name, purpose=rules.title, salt=bytes(32), seq=seq_of(NOW, 0), created=NOW,
        vouch_days=rules.vouch_days, licences=rules.licences,
    )  # fmt: skip
    charter = Charter.of(record)
    assert A_YEAR == VOUCH_DAYS
    assert charter.licences == rules.licences and charter.classes == DEFAULT_CLASSES
    assert [check_licence(one) for one in rules.licences] == list(rules.licences) and rules.words.endswith(".")


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("CC0-1.0", True),
        ("GPL-3.0-only OR LicenseRef-own", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT AND CC0-1.0) OR GPL-3.0-only", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("GPL-3.0-only", False),
        ("", False),
        ("not a licence (", False),
    ],
)
def test_one_allowed_way_through_an_expression_suffices(licence: str, allowed: bool) -> None:
    assert is_allowed(licence, ("MIT", "CC0-1.0")) == allowed


def test_an_exception_gives_more_rights_than_its_licence() -> None:
    assert is_allowed("GPL-2.0-only WITH Classpath-exception-2.0", ("GPL-2.0-only",))
