"""Keys, records and strategies that several tests of the core share."""

from __future__ import annotations

from hypothesis import strategies as st

from p2pnode.core.ids import CircleId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import Record, Value
from p2pnode.core.records import make, question_id, seq_of

ANN, BEN, CAT = (KeyPair(bytes([n]) * 32) for n in (1, 2, 3))
CIRCLE, OTHER_CIRCLE = CircleId(b"\x11" * 32), CircleId(b"\x22" * 32)
WORK = b"\x33" * 32
NOW = 1_800_000_000

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.integers(0, 2**53 - 1) | texts | st.binary(max_size=20)
names = st.text(st.characters(max_codepoint=127), max_size=8)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def ballot(
    key: KeyPair = ANN,
    choice: str = "approve",
    *,
    counter: int = 0,
    days: int = 0,
    reason: str = "",
    circle: CircleId = CIRCLE,
    target: bytes = WORK,
) -> Record:
    """A ballot signed `days` after NOW with this counter in its seq."""
    created = NOW + days * 86_400
    seq = seq_of(created, counter)
    return make(key, "ballot", circle=circle, target=target, seq=seq, created=created, choice=choice, reason=reason)


def proposal(key: KeyPair = ANN, *, class_: str = "list", patch: dict[str, Value] | None = None) -> Record:
    """A proposal about WORK."""
    question = question_id(CIRCLE, class_, WORK, b"", patch or {})
    return make(
        key,
        "proposal",
        circle=CIRCLE,
        target=question,
        seq=seq_of(NOW, 0),
        created=NOW,
        subject=WORK,
        base=b"",
        patch=patch or {},
        reason="because",
        **{"class": class_},
    )
