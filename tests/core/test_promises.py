"""Which test keeps which promise: the ten properties and the attacks of the design, each with the tests that would break.

A table for people, and a check that every test it names is there: one that is renamed or thrown away takes its promise along.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

PROPERTIES = {
    "P1 same records, same day, same bytes": (
        "core/test_explain.py::test_the_same_records_say_the_same_bytes",
        "core/test_explain.py::test_another_process_with_another_hash_seed_says_the_same_bytes",
        "core/test_explain.py::test_a_view_that_takes_ballots_one_by_one_says_what_a_fresh_one_says",
        "core/test_cut.py::test_order_and_repetition_do_not_matter_and_a_view_that_follows_says_the_same",
        "services/test_admission.py::test_the_same_records_give_the_same_set_in_any_order_and_repetition",
        "e2e/test_forking.py::test_a_circle_parts_and_each_part_goes_its_own_way",
    ),
    "P2 one honest session, both hold the union": (
        "core/test_reconcile.py::test_after_one_session_both_hold_the_union",
        "services/test_convergence.py::test_partitions_heal_to_the_same_records_and_the_same_verdicts",
    ),
    "P3 b bad keys raise no flow by more than b * K": (
        "core/test_flow.py::test_b_bad_keys_raise_no_flow_by_more_than_b_times_k",
        "core/test_picture.py::test_the_paths_are_the_flow_that_the_tally_counts",
    ),
    "P4 safety": ("core/test_tally.py::test_what_honest_members_do_not_favour_is_never_adopted",),
    "P5 liveness": ("core/test_tally.py::test_what_honest_members_clearly_favour_is_adopted",),
    "P6 no replay across circle, target, seq": (
        "core/test_attacks.py::test_11_a_ballot_counts_in_its_own_circle_only",
        "core/test_attacks.py::test_11_a_ballot_counts_on_its_own_question_only",
        "core/test_attacks.py::test_11_an_old_ballot_sent_again_does_not_bring_back_an_old_mind",
    ),
    "P7 conflicting ballots count nowhere": (
        "core/test_registers.py::test_an_equivocation_voids_the_register_everywhere",
        "core/test_attacks.py::test_09_two_ballots_for_two_halves_count_in_neither_once_both_are_known",
    ),
    "P8 what single ballots cannot do": ("core/test_tally.py::test_what_single_ballots_cannot_do",),
    "P9 a flood of strangers costs the quarantine": (
        "services/test_admission.py::test_a_flood_from_strangers_costs_the_quarantine_and_nothing_else",
    ),
    "P10 no two conflicting seals are valid": (
        "core/test_rules.py::test_with_at_most_f_bad_stewards_no_two_futures_are_sealed",
    ),
}

ELSEWHERE = {
    22: "core/test_edits.py::test_an_edit_war_ends_with_one_text_and_every_step_on_record",
    23: "core/test_edits.py::test_takedown_and_appeal_ping_pong_ends_where_the_last_decision_put_it",
    24: "core/test_rules.py::test_a_coup_needs_a_stewards_signature_the_same_salt_and_the_right_base",
    25: "core/test_rules.py::test_a_steward_who_seals_two_futures_of_one_charter_seals_neither_and_stands_convicted",
}
"""Attacks whose tests stand with what they attack. All others have their number in the name: `test_NN_...`."""
ATTACKS = range(1, 32)
"""The design's list; 31 is the graph that costs too much."""


def _names(file: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), flags=re.MULTILINE))


@pytest.mark.parametrize("named", [*(one for tests in PROPERTIES.values() for one in tests), *ELSEWHERE.values()])
def test_every_test_that_keeps_a_promise_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    assert name in _names(TESTS / file)


def test_every_attack_has_a_test() -> None:
    files = [*(TESTS / "core").glob("test_attacks*.py"), TESTS / "services" / "test_sync_hostile.py"]
    numbered = {int(found[1]) for file in files for name in _names(file) if (found := re.match(r"test_(\d\d)_", name))}
    assert numbered | ELSEWHERE.keys() >= set(ATTACKS)


def test_every_property_is_named_once() -> None:
    assert [name.split()[0] for name in PROPERTIES] == [f"P{number}" for number in range(1, 11)]
