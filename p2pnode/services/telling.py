"""What a fetch tells a person at its end: what differs from how the author had it, and why it failed. Called by services.transfers."""

from __future__ import annotations

from p2pnode.core.layout import Skeleton
from p2pnode.errors import P2pnodeError, StoreError
from p2pnode.ports import Json
from p2pnode.services.selection import Selection, is_chosen

MAX_DIFFERENCES_TOLD = 200
"""Links and new names told in an answer, each; the counts are always whole."""


def differences(skeleton: Skeleton, only: Selection = None) -> Json:
    """What of the content, or of its chosen part, is not on the disk as its author had it."""
    renamed = [
        {"name": name.decode("utf-8", "replace"), "path": path}
        for name, path in skeleton.renamed
        if is_chosen(path, only)
    ]
    links = [path for path, _ in skeleton.symlinks if is_chosen(path, only)]
    return {
        "left_out": links[:MAX_DIFFERENCES_TOLD],
        "left_out_count": len(links),
        "renamed": renamed[:MAX_DIFFERENCES_TOLD],
        "renamed_count": len(renamed),
    }


def in_words(error: P2pnodeError) -> str:
    """Why a transfer failed, as its reason."""
    message = error.message
    if isinstance(error, StoreError) and ("no space" in message.lower() or "disk is full" in message.lower()):
        return f"the disk is full: {message}"
    return message
