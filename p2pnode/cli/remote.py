"""What `--node NAME` means on the command line: which commands can be done on another machine. Called by `cli.commands`."""

from __future__ import annotations

from typing import Final

from p2pnode.errors import UsageError

HERE_ONLY: Final = frozenset(
    {
        *("daemon", "service", "rescue", "backup", "restore", "cid", "open", "gateway", "help", "bundle", "car"),
        *("device pair", "device rename", "device revoke", "device leave"),
        *("identity backup", "identity restore", "identity passphrase"),
    }
)
"""Commands (and groups of them) that work on this machine's files, screen or keys."""


def refuse_remote(path: str, device: str) -> None:
    """UsageError for a command that is not for other machines; `path` is the command's, with the program's name."""
    words = path.split()[1:]
    for count in range(1, len(words) + 1):
        if " ".join(words[:count]) in HERE_ONLY:
            raise UsageError(
                f"{' '.join(words[:count])} is done on the machine itself, not with --node {device}",
                hint=f"leave --node out, or run it on {device}",
            )
