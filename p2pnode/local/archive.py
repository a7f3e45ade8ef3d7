"""The file of a backup: a tar archive that says first what it is, and last what must have been in it.

Members, in this order: `p2pnode-backup.json` (format, version, what is inside), any number of plain files and folders, `checksums.json`
(size and SHA-256 of every file before it). A file that ends early lacks the last member, and whatever was changed fails its sum: a backup
is whole or refused. Every tar program reads it. Written beside its name and given that name once it is on the disk. Knows nothing of
databases or keys; called by `p2pnode.backup`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from p2pnode.errors import DecodeError, RefusedError, StoreError
from p2pnode.filelock import try_lock

FORMAT, VERSION = "p2pnode backup", 1
HEAD, SUMS = "p2pnode-backup.json", "checksums.json"
MAX_HEAD_BYTES = 64 << 10
MAX_SUMS_BYTES = 1 << 30
"""Some hundred bytes a file: room for millions of them."""
PIECE_BYTES = 1 << 20
OWNER_ONLY_FILE, OWNER_ONLY_FOLDER, SHOWN_FILE = 0o600, 0o700, 0o444


class ArchiveWriter:
    """Adds members; `creating_archive` makes it."""

    def __init__(self, tar: tarfile.TarFile, on_bytes: Callable[[int], None]) -> None:
        self._tar, self._on_bytes = tar, on_bytes
        self.sums: dict[str, tuple[int, str]] = {}

    def add_bytes(self, name: str, data: bytes) -> None:
        """A small file."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), OWNER_ONLY_FILE
        self._tar.addfile(info, io.BytesIO(data))
        self.sums[name] = (len(data), hashlib.sha256(data).hexdigest())

    def add_folder(self, name: str) -> None:
        """A folder, which may be empty."""
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        self._tar.addfile(info)

    def add_file(self, name: str, path: str) -> bool:
        """A file; False, and nothing added, if it is not there (any more) or is none. StoreError if it cannot be read to its end."""
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except OSError:
            return False
        with os.fdopen(descriptor, "rb") as file:
            info = tarfile.TarInfo(name)
            info.size, info.mode = os.fstat(file.fileno()).st_size, OWNER_ONLY_FILE
            reading = _Summed(file, info.size, self._on_bytes)
            try:
                self._tar.addfile(info, reading)
            except OSError as error:
                if reading.failed is None:
                    raise
                raise StoreError(
                    f"{path} cannot be read to its end: {error}", hint="p2pnode verify --repair"
                ) from error
        self.sums[name] = (info.size, reading.digest())
        return True


@contextmanager
def creating_archive(
    path: str, about: dict[str, Any], on_bytes: Callable[[int], None] = lambda count: None
) -> Iterator[ArchiveWriter]:
    """A new archive at `path`, which must not exist. When the block fails, or the process dies, nothing is there under that name."""
    if os.path.lexists(path):
        raise RefusedError(
            f"{path} is there already", hint="give another name, or --to FOLDER for a name with the date"
        )
    folder, name = os.path.split(path)
    _sweep(folder or ".", name)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
        with os.fdopen(descriptor, "wb") as file:
            try_lock(file.fileno())
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                writer = ArchiveWriter(tar, on_bytes)
                writer.add_bytes(HEAD, json.dumps({"format": FORMAT, "version": VERSION} | about, indent=1).encode())
                yield writer
                writer.add_bytes(SUMS, json.dumps(dict(writer.sums)).encode())
            file.flush()
            os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename it never replaces what came there meanwhile
        _sync_folder(folder or ".")
    except FileExistsError as error:
        raise RefusedError(f"{path} is there already") from error
    except OSError as error:
        raise StoreError(
            f"{error.filename or path}: {error.strerror or error}", hint="see whether its disk is full"
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def read_archive(
    path: str,
    extract_to: Callable[[str], str | None],
    on_head: Callable[[dict[str, Any]], None],
    on_bytes: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Check a whole archive; what its first member says. `extract_to` says where each file or folder goes (None: nowhere, only checked).

    DecodeError if it is no backup, was cut short or changed. What was extracted until then is the caller's to throw away.
    """
    found: dict[str, tuple[int, str]] = {}
    about: dict[str, Any] = {}
    try:
        with tarfile.open(path, mode="r:") as tar:
            for info in tar:
                if not about:
                    about = _head(tar, info)
                    on_head(about)
                    found[HEAD] = (info.size, hashlib.sha256(_read(tar, info, MAX_HEAD_BYTES)).hexdigest())
                elif info.name == SUMS:
                    _compare(_sums(_read(tar, info, MAX_SUMS_BYTES)), found)
                    return about
                elif info.isdir():
                    _make_folder(extract_to(_safe(info.name)))
                else:
                    found[info.name] = _take(tar, info, extract_to(_safe(info.name)), found, on_bytes)
    except FileNotFoundError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from error
    except IsADirectoryError as error:
        raise DecodeError(f"{error.filename or path} is a folder", hint="name the file of a backup") from error
    except (tarfile.TarError, EOFError, UnicodeError, ValueError, RecursionError) as error:
        raise DecodeError(f"{path} is no whole backup: {error}", hint=_ANOTHER) from error
    except OSError as error:
        raise StoreError(
            f"{error.filename or path}: {error.strerror or error}", hint="see whether its disk is full"
        ) from error
    raise DecodeError(f"{path} was cut short: its end is missing", hint=_ANOTHER)


_ANOTHER = "use another copy of it, or another backup"


class _Summed:
    """Exactly so many bytes of a file, hashed as they are read; short reads are an error, not an end."""

    def __init__(self, file: IO[bytes], size: int, on_bytes: Callable[[int], None]) -> None:
        self._file, self._left, self._on_bytes = file, size, on_bytes
        self._hash = hashlib.sha256()
        self.failed: OSError | None = None

    def read(self, count: int = PIECE_BYTES, /) -> bytes:
        try:
            data = self._file.read(min(count, self._left))
            if self._left and not data:
                raise OSError("it became shorter")
        except OSError as error:
            self.failed = error
            raise
        self._left -= len(data)
        self._hash.update(data)
        self._on_bytes(len(data))
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def _head(tar: tarfile.TarFile, info: tarfile.TarInfo) -> dict[str, Any]:
    if info.name != HEAD:
        raise DecodeError("this is an archive, but no backup of a node", hint=_ANOTHER)
    about = json.loads(_read(tar, info, MAX_HEAD_BYTES))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DecodeError("this is an archive, but no backup of a node", hint=_ANOTHER)
    if about.get("version") != VERSION:
        raise DecodeError(
            f"this backup has version {about.get('version')!r}, this program reads {VERSION}",
            hint="use a newer p2pnode",
        )
    return about


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo, most: int) -> bytes:
    file = _plain(tar, info)
    if file is None or info.size > most:
        raise DecodeError(f"{info.name} in this backup is no file that it could be", hint=_ANOTHER)
    data = file.read(info.size)
    if len(data) != info.size:
        raise DecodeError("the backup was cut short", hint=_ANOTHER)
    return data


def _plain(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes] | None:
    """Its bytes, if it is a file that has them all in the archive: one with holes could be a terabyte out of nothing."""
    return tar.extractfile(info) if info.isreg() and not info.issparse() else None


def _sums(data: bytes) -> dict[str, tuple[int, str]]:
    listed = json.loads(data)
    if not isinstance(listed, dict):
        raise DecodeError("the sums of this backup cannot be read", hint=_ANOTHER)
    return {name: tuple(value) if isinstance(value, list) else (0, "") for name, value in listed.items()}


def _compare(listed: dict[str, tuple[int, str]], found: dict[str, tuple[int, str]]) -> None:
    if listed == found:
        return
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    raise DecodeError(
        f"this backup was changed or damaged: {len(wrong)} of {len(listed)} files are not what they were, first {wrong[0]!r}",
        hint=_ANOTHER,
    )


def _take(
    tar: tarfile.TarFile,
    info: tarfile.TarInfo,
    target: str | None,
    found: dict[str, tuple[int, str]],
    on_bytes: Callable[[int], None],
) -> tuple[int, str]:
    file = _plain(tar, info)
    if file is None or info.name in found:
        raise DecodeError(f"{info.name!r} in this backup is no plain file, or is there twice", hint=_ANOTHER)
    reading = _Summed(file, info.size, on_bytes)
    if target is None:
        while reading.read(PIECE_BYTES):
            pass
        return info.size, reading.digest()
    os.makedirs(os.path.dirname(target), exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), OWNER_ONLY_FILE)
    with os.fdopen(descriptor, "wb") as out:
        while data := reading.read(PIECE_BYTES):
            out.write(data)
        out.flush()
        os.fsync(out.fileno())
    return info.size, reading.digest()


def _safe(name: str) -> str:
    parts = name.split("/")
    if name.startswith("/") or "\0" in name or ("\\" in name and os.sep == "\\") or {"", ".", ".."} & set(parts):
        raise DecodeError(f"{name[:200]!r} in this backup is no path that may be written", hint=_ANOTHER)
    return name


def _make_folder(path: str | None) -> None:
    if path is not None:
        os.makedirs(path, exist_ok=True)


def _sweep(folder: str, name: str) -> None:
    """Remove what a backup that was killed left behind; one that still runs holds its lock."""
    for stale in Path(folder).glob(f".{name}.*.partial*"):
        with suppress(OSError):
            descriptor = os.open(stale, os.O_RDWR)
            try:
                if try_lock(descriptor):
                    stale.unlink()
            finally:
                os.close(descriptor)


def _sync_folder(folder: str) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
