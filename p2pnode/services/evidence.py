"""Evidence of a complaint: works and addresses that others can look at, carried in the reason that everybody reads.

It stands as lines of its own at the end of the signed reason, so that the question stays the same whoever shows what for it, and a
program that knows nothing of evidence still shows all of it. Called by the method that opens proposals and by `services.questions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.proposals import MAX_REASON_CHARACTERS
from p2pnode.errors import UsageError

MARK = "Evidence: "
MAX_PIECES = 5
"""Works or addresses with one complaint: they share the room of the reason, and nobody opens more."""
ADDRESSES = ("https://", "http://", "ipfs://")


def is_address(text: str) -> bool:
    """Whether a piece of evidence is an address rather than a work."""
    return text.startswith(ADDRESSES)


def with_evidence(reason: str, pieces: Sequence[str]) -> str:
    """The reason as it is signed. UsageError for too many pieces, for one of several lines, or when all does not fit."""
    if len(pieces) > MAX_PIECES:
        raise UsageError(f"at most {MAX_PIECES} pieces of evidence go with one complaint")
    if any(not piece.strip() or "\n" in piece for piece in pieces):
        raise UsageError("a piece of evidence is a work's id or an address", hint="such as w-abc123 or https://...")
    told = "\n".join([reason.strip(), *(MARK + piece.strip() for piece in dict.fromkeys(pieces))])
    if pieces and len(told) > MAX_REASON_CHARACTERS:
        raise UsageError(
            f"reason and evidence have {len(told)} characters together, more than {MAX_REASON_CHARACTERS}",
            hint="shorten the reason, or leave out a piece of evidence",
        )
    return told


def split_evidence(reason: str) -> tuple[str, list[str]]:
    """The reason without its evidence, and the pieces; a stranger's text, which may hold anything."""
    lines = reason.split("\n")
    last = len(lines)
    while last > 0 and lines[last - 1].startswith(MARK) and len(lines) - last < MAX_PIECES:
        last -= 1
    return "\n".join(lines[:last]), [line.removeprefix(MARK) for line in lines[last:]]
