"""Whom a node believes about itself: majorities, one voice a range, and nothing for ever."""

from __future__ import annotations

from p2pnode.net.nat.voices import VOICE_S, VOICES, Voices

HERE = "/ip4/203.0.113.9/tcp/4001"


def voices(*said: str) -> Voices:
    made = Voices()
    for number, address in enumerate(said):
        made.heard(f"range {number}", address, 0.0)
    return made


def test_nobody_said_anything() -> None:
    assert Voices().verdict(0.0) == "unknown"
    assert Voices().addresses(0.0) == []


def test_the_majority_decides() -> None:
    assert voices(HERE).verdict(0.0) == "public"
    assert voices("").verdict(0.0) == "private"
    assert voices(HERE, "", HERE).verdict(0.0) == "public"
    assert voices("", "", HERE).verdict(0.0) == "private"
    assert voices("", "", HERE).addresses(0.0) == []


def test_a_tie_changes_nothing() -> None:
    one = voices(HERE)
    assert one.verdict(0.0) == "public"
    one.heard("another", "", 1.0)
    assert one.verdict(1.0) == "public"
    other = voices("")
    assert other.verdict(0.0) == "private"
    other.heard("another", HERE, 1.0)
    assert other.verdict(1.0) == "private"


def test_a_range_has_one_voice_the_latest() -> None:
    liars = voices(HERE, HERE)
    for number in range(10):
        liars.heard("liars", "", float(number))
    assert liars.count(10.0) == 3
    assert liars.verdict(10.0) == "public"


def test_only_the_latest_are_kept_and_none_for_ever() -> None:
    many = voices(*[""] * VOICES)
    for number in range(VOICES):
        many.heard(f"newer {number}", HERE, 1.0)
    assert many.count(1.0) == VOICES
    assert many.verdict(1.0) == "public"
    assert many.verdict(1.0 + VOICE_S) == "unknown"
    assert not many.has_of("newer 0", 1.0 + VOICE_S)


def test_the_address_most_often_reached_comes_first() -> None:
    other = "/ip4/203.0.113.9/tcp/4002"
    assert voices(other, HERE, HERE).addresses(0.0) == [HERE, other]


def test_who_moved_forgets() -> None:
    moved = voices(HERE)
    moved.forget()
    assert moved.verdict(0.0) == "unknown"
