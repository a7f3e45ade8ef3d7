"""Whether the members we compared records with are more than one person's friends (design 4.5).

A verdict is provisional until we synced with min(3, existing) members whose pseudonyms were vouched for by *different* members: one
voucher who lies, or who was fooled, can then surround us with its own keys only in part. Pure; called by `services.provisional`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from p2pnode.core.ids import PublicKey

ENOUGH = 3
"""Independent members that suffice."""


def independent(
    members: Iterable[PublicKey], vouchers: Mapping[PublicKey, Sequence[PublicKey]], enough: int = ENOUGH
) -> int:
    """The most of these members that can be given a voucher each, all different; not counted beyond `enough`.

    A steward is named by the charter: it stands for itself, as if it had vouched for itself.
    """
    taken: dict[PublicKey, PublicKey] = {}  # voucher -> member
    for member in members:
        if len(taken) >= enough:
            break
        _assign(member, vouchers, taken, set())
    return len(taken)


def _assign(
    member: PublicKey,
    vouchers: Mapping[PublicKey, Sequence[PublicKey]],
    taken: dict[PublicKey, PublicKey],
    tried: set[PublicKey],
) -> bool:
    """An augmenting path of bipartite matching; at most `enough` members deep."""
    for voucher in vouchers.get(member, ()):
        if voucher in tried:
            continue
        tried.add(voucher)
        if voucher not in taken or _assign(taken[voucher], vouchers, taken, tried):
            taken[voucher] = member
            return True
    return False


def is_provisional(
    me: PublicKey, synced: Iterable[PublicKey], vouchers: Mapping[PublicKey, Sequence[PublicKey]]
) -> bool:
    """`vouchers` has every member as its keys; `synced` are proven pseudonyms that we finished a session with."""
    existing = independent((member for member in vouchers if member != me), vouchers)
    met = independent((key for key in synced if key != me and key in vouchers), vouchers)
    return met < existing
