"""What a device may be certified for, and what it may be called.

Apart from the certificates, because the command line names these and must load no library for signatures. Called by `core.device`,
`services.devices` and `cli.devices`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from p2pnode.errors import UsageError

DRIVE, SEED, RELAY, SYNC, REPAIR, VOTE = "drive", "seed", "relay", "sync", "repair", "vote"
ROLES: Final = (DRIVE, SEED, RELAY, SYNC, REPAIR, VOTE)
"""What may be certified: to drive the person's other devices, keep works, relay, follow circles, mend works, sign in circles."""
SERVER_ROLES: Final = (SEED, RELAY, SYNC, REPAIR)
"""What a paired server gets unless the person says otherwise: nothing with which it could speak for anybody."""
NAME_CHARACTERS = 40
"""Characters of a device's name: it stands on a command line and in tables."""


def check_name(name: str) -> str:
    """A device's name as it may be typed behind --node. UsageError for anything else."""
    name = name.strip()
    if not 0 < len(name) <= NAME_CHARACTERS or not all(c.isalnum() or c in "-_." for c in name) or name[0] in "-.":
        raise UsageError(
            f"{name!r} is no name for a device",
            hint=f"at most {NAME_CHARACTERS} letters, digits, dashes, dots and underscores",
        )
    return name


def as_name(text: str) -> str:
    """A machine's own name made fit to be a device's."""
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in text.split(".")[0]).strip("-")[:NAME_CHARACTERS]
    return kept or "device"


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Roles that we know, in order. UsageError names one that is none."""
    chosen = sorted(set(roles))
    for role in chosen:
        if role not in ROLES:
            raise UsageError(f"{role!r} is nothing that a device may be allowed", hint=f"one of: {', '.join(ROLES)}")
    return tuple(chosen)
