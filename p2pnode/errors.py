"""What can go wrong, one class per thing that a caller would do differently.

Every error carries a stable `code` (for programs), a `message` (what happened and why), a `hint` (what to do next) and the
exit status with which the command line ends. Whatever reaches a user is one of these; everything else is a bug of ours.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_INTERRUPTED = 130


class P2pnodeError(Exception):
    """Something went wrong that has no class of its own."""

    code = "error"
    exit_status = 1
    default_hint = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint


class UsageError(P2pnodeError):
    """The request itself is malformed: an argument, a path, an address, a value out of its range."""

    code = "usage"
    exit_status = 2


class NoDaemonError(P2pnodeError):
    """No daemon answers at this home."""

    code = "no_daemon"
    exit_status = 3
    default_hint = "start one with: p2pnode daemon"


class NotFoundError(P2pnodeError):
    """No such work, circle, proposal, key or content."""

    code = "not_found"
    exit_status = 4


class AmbiguousError(P2pnodeError):
    """A shortened id fits more than one thing."""

    code = "ambiguous"
    exit_status = 5
    default_hint = "give more characters of the id"


class RefusedError(P2pnodeError):
    """A rule says no: quota, membership, a second daemon, a wrong passphrase."""

    code = "refused"
    exit_status = 6


class NoRoomError(RefusedError):
    """Quota or floor of the disk would be passed by so many bytes: some room would help."""

    def __init__(self, message: str, *, hint: str, needed_bytes: int) -> None:
        super().__init__(message, hint=hint)
        self.needed_bytes = needed_bytes


class TimedOutError(P2pnodeError):
    """It took longer than it may."""

    code = "timed_out"
    exit_status = 7


class DecodeError(P2pnodeError):
    """Bytes that are not what they should be. `decode` functions raise this and nothing else, on any input."""

    code = "decode"


class NetworkError(P2pnodeError):
    """A peer cannot be reached, or a stream to it broke."""

    code = "network"


class PeerError(NetworkError):
    """A peer broke a protocol's rules: it sent something false, malformed or too large."""

    code = "peer"


class StoreError(P2pnodeError):
    """The disk or the database under the store failed."""

    code = "store"


class FullDiskError(StoreError):
    """The disk has no byte left, or this user may not have more of it."""

    default_hint = "free some disk space; the step was undone and nothing that was kept is lost"


class ChangedError(StoreError):
    """A file that was published in place no longer holds the bytes that were published."""

    code = "changed"
    default_hint = "publish it again: that makes a new revision and keeps the old one's history"


ERRORS: dict[str, type[P2pnodeError]] = {
    cls.code: cls
    for cls in (
        P2pnodeError,
        UsageError,
        NoDaemonError,
        NotFoundError,
        AmbiguousError,
        RefusedError,
        TimedOutError,
        DecodeError,
        NetworkError,
        PeerError,
        StoreError,
        ChangedError,
    )
}
"""Every error by its code, for whoever reads one from the control socket."""
