"""Who said what and why, in lines: reasons first, own ballot named, strangers' texts cut to a line."""

from __future__ import annotations

from p2pnode.core.ballot_words import SHOWN_BALLOTS, ballot_lines
from p2pnode.core.text import safe


def ballot(key: str, choice: str = "approve", why: str = "counted", reason: str = "") -> dict[str, str]:
    return {"key": key, "choice": choice, "why": why, "reason": reason}


def test_each_ballot_says_whether_it_counts_and_why_it_was_cast() -> None:
    ballots = [
        ballot("k-aaaaaaaaaaaaaaaa"),
        ballot("k-bbbbbbbbbbbbbbbb", "reject", "no_room", "the scan lacks\n  page 3"),
        ballot("k-cccccccccccccccc", "void", "void"),
    ]
    assert ballot_lines(ballots, "k-aaaaaaaaaaaaaaaa", 3) == [
        "The ballots:",
        "  k-bbbbbbbbbb reject, does not count: the vouches that lead to it carry no more: “the scan lacks page 3”",
        "  k-aaaaaaaaaa (you) approve, counts",
        "  k-cccccccccc does not count: two different ones with one number were signed",
    ]
    assert ballot_lines([], "k-a", 0) == []


def test_a_crowd_is_counted_and_a_book_is_cut() -> None:
    told = ballot_lines([ballot(f"k-{number:020}", reason="x" * 9000) for number in range(50)], "", 811)
    assert len(told) == SHOWN_BALLOTS + 2
    assert told[-1] == "  and 791 more; all that count or not: with --json"
    assert max(map(len, told)) < 400
    assert "\x1b" not in safe(ballot_lines([ballot("k-a", reason="\x1b[2J")], "", 1)[1])
