"""Whose a path is when another machine is driven.

A path typed here is completed by this machine's shell and means this machine; on the other one it may be something else entirely. So
a path of the other machine is written NAME:/PATH, and everything else is refused with a hint. Called by the command line and the terminal
UI, wherever a path is read.
"""

from __future__ import annotations

from p2pnode.errors import UsageError


def remote_path(path: str, device: str) -> str:
    """The path on the other machine that NAME:/PATH names. UsageError for a path of this one."""
    name, colon, rest = path.partition(":")
    if not colon or name != device:
        raise UsageError(
            f"{path!r} is a path of this machine, and {device} cannot read it",
            hint=f"for a path of {device} write {device}:/PATH; to give it files of yours, publish them here and then: "
            f"p2pnode --node {device} get WORK",
        )
    if not rest.startswith("/") and rest[1:3] not in (":\\", ":/"):
        raise UsageError(f"{rest!r} is no whole path", hint=f"write it from its beginning: {device}:/PATH")
    return rest
