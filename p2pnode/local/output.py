"""Writing a content out to a path of the user's: into a hidden sibling first, then renamed; never over anything, never through a link.

Plain file work, blocking. Paths are those that core.layout made safe; the descriptors keep it so even if somebody moves folders about
meanwhile. Called by services.export in a worker thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator

from p2pnode.errors import RefusedError, StoreError, UsageError

_HAS_DIR_FD = os.open in os.supports_dir_fd and os.mkdir in os.supports_dir_fd
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW | _CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC | getattr(os, "O_BINARY", 0)
FICLONE = 0x40049409
"""Linux: make one file share the blocks of another (btrfs, xfs, ...)."""


class Output:
    """A file or folder that is being written out. `finish` gives it its name; `abandon` removes what was written."""

    def __init__(self, path: str) -> None:
        """`path` is absolute and must not exist; its folder must. UsageError or RefusedError otherwise."""
        self.path = path
        parent, name = os.path.split(path)
        if not name or not os.path.isdir(parent):
            raise UsageError(f"{parent} is no folder to write to", hint="make it first, or give another path")
        if os.path.lexists(path):
            raise RefusedError(f"{path} exists already", hint="give a path that is free: nothing is overwritten")
        self._hidden = os.path.join(parent, f".{name[:100]}.{secrets.token_hex(6)}.part")

    def make_folder(self, path: str) -> None:
        """A folder by its relative path; its parents exist already. "" is the output itself."""
        if not path:
            os.mkdir(self._hidden)
            return
        with self._parent(path) as (name, parent):
            os.mkdir(name, dir_fd=parent)

    def create(self, path: str) -> int:
        """A descriptor of a new, empty file by its relative path; "" is the output itself. The caller closes it."""
        if not path:
            return os.open(self._hidden, _NEW_FILE, 0o666)
        with self._parent(path) as (name, parent):
            return os.open(name, _NEW_FILE, 0o666, dir_fd=parent)

    def finish(self) -> None:
        """Give it its name. RefusedError if somebody took that meanwhile."""
        try:
            if os.path.isdir(self._hidden):
                if os.path.lexists(self.path):  # an empty folder would be replaced in silence
                    raise FileExistsError(errno.EEXIST, "exists")
                os.rename(self._hidden, self.path)
            else:
                self._name_file()
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise RefusedError(
                    f"{self.path} exists already", hint="somebody made it while it was written"
                ) from error
            raise StoreError(f"{self.path} cannot be made: {error.strerror}") from error

    def abandon(self) -> None:
        """Remove what was written. Raises nothing."""
        if os.path.isdir(self._hidden) and not os.path.islink(self._hidden):
            shutil.rmtree(self._hidden, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(self._hidden)

    def _name_file(self) -> None:
        """A link refuses an existing name, a rename does not; where there are no links the rename must do."""
        try:
            os.link(self._hidden, self.path, follow_symlinks=False)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, "exists") from None
            os.rename(self._hidden, self.path)
        else:
            os.unlink(self._hidden)

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[str, int | None]]:
        """(name to use, descriptor of the folder it lies in or None), every folder on the way opened without following links."""
        *folders, name = path.split("/")
        if not _HAS_DIR_FD:
            yield os.path.join(self._hidden, *folders, name), None
            return
        at = os.open(self._hidden, _FOLDER)
        try:
            for folder in folders:
                deeper = os.open(folder, _FOLDER, dir_fd=at)
                os.close(at)
                at = deeper
            yield name, at
        finally:
            os.close(at)


def clone(source: str, target: int, size: int) -> bool:
    """Let the open file `target` share the blocks of a file of ours. False if the file system cannot, or the size is not `size`."""
    try:
        import fcntl

        with open(source, "rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            fcntl.ioctl(target, FICLONE, file.fileno())
    except (ImportError, OSError):
        return False
    return os.fstat(target).st_size == size
