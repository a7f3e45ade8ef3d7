"""Walking a path for publishing: what is told, what is left out and why, and that nothing but the bytes decides the root."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core.cid import Cid
from p2pnode.errors import ChangedError, UsageError
from p2pnode.local import hashing, long_file, tree
from p2pnode.local.events import Began, Blocks, Event, Files, Leaves, Scanned, Withdrawn
from p2pnode.local.folder import Folder
from p2pnode.local.identity import load_or_create, load_or_create_host_key
from p2pnode.local.tree import measure, root_cid, scan
from p2pnode.local.walk import MAX_FOLDER_DEPTH, Skipped
from tests.support.dags import build, walk

LEAF = 1 << 20


def _skipped(events: list[Event]) -> dict[str, str]:
    return {event.path: event.reason for event in events if isinstance(event, Skipped)}


def _skeleton_of(events: list[Event]) -> dict[str, tuple[int, tuple[tuple[Cid, int, int], ...]]]:
    """Files as a reader finds them, from the blocks that were told alone."""
    blocks = {cid: block for event in events if isinstance(event, Blocks) for cid, block in event.blocks}
    assert isinstance(events[-1], Scanned)
    return {file.path: (file.size, file.leaves) for file in walk(events[-1].root, blocks).files}


def _told(events: list[Event]) -> dict[str, tuple[int, tuple[tuple[Cid, int, int], ...]]]:
    """Files and leaves as the events say, in their order."""
    files: dict[str, tuple[int, tuple[tuple[Cid, int, int], ...]]] = {}
    begun = ""
    for event in events:
        if isinstance(event, Files):
            files |= {file.path: (file.stamp.size, file.leaves) for file in event.files}
        elif isinstance(event, Began):
            begun = event.path
            files[begun] = (event.stamp.size, ())
        elif isinstance(event, Leaves):
            files[begun] = (files[begun][0], files[begun][1] + event.leaves)
        elif isinstance(event, Withdrawn):
            del files[begun]
    return files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several sizes at several depths."""
    root = tmp_path / "work"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "nothing").touch()
    (root / "sub" / "big.bin").write_bytes(random.Random(1).randbytes(2 * LEAF + 5))
    return root


def test_events_tell_what_a_reader_will_find(folder: Path) -> None:
    events = list(scan(str(folder)))
    assert _told(events) == _skeleton_of(events)
    assert events[-1] == Scanned(root_cid(str(folder)), 2 * LEAF + 6, 3)
    assert list(_told(events)) == ["a.txt", "nothing", "sub/big.bin"]
    assert measure(str(folder)) == (2 * LEAF + 6, 3)


def test_a_file_is_told_under_the_empty_path(folder: Path) -> None:
    events = list(scan(str(folder / "sub" / "big.bin")))
    assert isinstance(events[0], Began) and (events[0].path, events[0].stamp.size) == ("", 2 * LEAF + 5)
    assert events[-1] == Scanned(build((folder / "sub" / "big.bin").read_bytes()).root, 2 * LEAF + 5, 1)


def test_a_long_file_is_told_as_it_is_read(folder: Path) -> None:
    whole = list(scan(str(folder)))
    with (
        mock.patch.object(tree, "LONG_BYTES", LEAF),
        mock.patch.object(long_file, "RANGE_BYTES", LEAF),
        mock.patch("p2pnode.core.unixfs.LINKS_PER_NODE", 2),
    ):
        events = list(scan(str(folder)))
        assert any(isinstance(event, Began) for event in events)
        assert _told(events) == _told(whole)
        assert _told(events) == _skeleton_of(events)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(), size=st.sampled_from([0, 1, LEAF - 1, LEAF, LEAF + 1, 3 * LEAF + 7]))
def test_short_reads_change_nothing(seed: int, size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = random.Random(seed).randbytes(size)
    path = tmp_path_factory.mktemp("short") / "file"
    path.write_bytes(data)
    rng = random.Random(seed)

    read = hashing.read_at

    def short(descriptor: int, offset: int, part: memoryview) -> int:
        return read(descriptor, offset, part[: rng.randint(1, max(1, len(part)))])

    with mock.patch.object(hashing, "read_at", short):
        assert root_cid(str(path)) == build(data).root


def test_what_cannot_be_part_of_a_work_is_listed_with_the_reason(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path is short
        listener.bind("socket")
        os.chdir(here)
        (folder / os.fsdecode(b"latin-\xe9")).write_text("x")
        plain = root_cid(str(folder))
        events = list(scan(str(folder)))
    assert _skipped(events) == {
        "pipe": "it is a named pipe",
        "socket": "it is a socket",
        "latin-\ufffd": "its name is not UTF-8, which a folder of IPFS cannot hold: rename it",
    }
    for name in ("pipe", "socket", os.fsdecode(b"latin-\xe9")):
        (folder / name).unlink()
    assert root_cid(str(folder)) == plain


def test_what_cannot_be_read_is_listed(folder: Path) -> None:
    opened = Folder.open_file

    def refuse(self: Folder, name: str) -> int:
        if name == "a.txt":
            raise PermissionError(13, "Permission denied")
        return opened(self, name)

    with mock.patch.object(Folder, "open_file", refuse):
        events = list(scan(str(folder)))
    assert _skipped(events) == {"a.txt": "it cannot be read: Permission denied"}
    assert sorted(_told(events)) == sorted(_skeleton_of(events)) == ["nothing", "sub/big.bin"]


def test_symlinks_are_recorded_and_never_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not published")
    os.symlink("../secret", folder / "link")
    os.symlink("..", folder / "up")
    events = list(scan(str(folder)))
    blocks = {cid: block for event in events if isinstance(event, Blocks) for cid, block in event.blocks}
    assert isinstance(events[-1], Scanned) and not _skipped(events)
    assert walk(events[-1].root, blocks).symlinks == (("link", b"../secret"), ("up", b".."))


def test_an_entry_that_turns_into_a_link_while_we_look_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not published")
    looked = Folder.stat

    def swap(self: Folder, name: str) -> os.stat_result:
        found = looked(self, name)
        if name == "a.txt":
            (folder / "a.txt").unlink()
            os.symlink("../secret", folder / "a.txt")
        return found

    with mock.patch.object(Folder, "stat", swap):
        events = list(scan(str(folder)))
    assert list(_skipped(events)) == ["a.txt"]


def _while_reading(path: Path, change: Callable[[], object], *, at: int = 0) -> AbstractContextManager[object]:
    """Something happens to a file once, when its bytes from `at` on have been read."""
    read, inode, todo = hashing.read_at, path.stat().st_ino, [change]

    def read_at(descriptor: int, offset: int, part: memoryview) -> int:
        got = read(descriptor, offset, part)
        if os.fstat(descriptor).st_ino == inode and offset >= at and todo:
            todo.pop()()
        return got

    return mock.patch.object(hashing, "read_at", read_at)


def _append(path: Path) -> Callable[[], object]:
    return lambda: path.open("ab").write(b"more")


@pytest.mark.parametrize("long", [False, True])
def test_a_file_that_changes_meanwhile_is_left_out(folder: Path, long: bool) -> None:
    big = folder / "sub" / "big.bin"
    sizes = mock.patch.object(tree, "LONG_BYTES", LEAF if long else 8 * LEAF)
    with _while_reading(big, _append(big)), sizes, mock.patch.object(long_file, "RANGE_BYTES", LEAF):
        events = list(scan(str(folder)))
    assert _skipped(events) == {"sub/big.bin": "it changed while it was being read"}
    assert sorted(_told(events)) == sorted(_skeleton_of(events)) == ["a.txt", "nothing"]
    assert any(isinstance(event, Withdrawn) for event in events) == long
    assert events[-1] == Scanned(root_cid(_without(folder, big)), 1, 2)


def _without(folder: Path, path: Path) -> str:
    path.unlink()
    return str(folder)


@pytest.mark.parametrize("long", [False, True])
def test_a_file_that_becomes_shorter_is_left_out(folder: Path, long: bool) -> None:
    big = folder / "sub" / "big.bin"
    sizes = mock.patch.object(tree, "LONG_BYTES", LEAF if long else 8 * LEAF)
    with (
        _while_reading(big, lambda: os.truncate(big, LEAF // 2)),
        sizes,
        mock.patch.object(long_file, "RANGE_BYTES", LEAF),
    ):
        events = list(scan(str(folder)))
    assert list(_skipped(events)) == ["sub/big.bin"]
    assert _skipped(events)["sub/big.bin"].endswith("while it was being read")


def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(folder: Path) -> None:
    whole = root_cid(str(folder))
    big = folder / "sub" / "big.bin"
    with _while_reading(big, big.unlink):
        events = list(scan(str(folder)))
    assert (_skipped(events), events[-1]) == ({}, Scanned(whole, 2 * LEAF + 6, 3))


def test_a_lone_file_that_changes_meanwhile_is_refused(folder: Path) -> None:
    big = folder / "sub" / "big.bin"
    with _while_reading(big, _append(big)), pytest.raises(ChangedError, match=r"sub/big\.bin.*changed"):
        list(scan(str(big)))


def test_progress_can_end_the_scan_and_leaves_no_descriptor_open(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))

    class Enough(BaseException):
        pass

    def stop(done: int, files: int, path: str) -> None:
        if done > LEAF:
            raise Enough

    with pytest.raises(Enough):
        list(scan(str(folder), stop))
    events = scan(str(folder))
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_folders_that_no_reader_would_take_are_left_out(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*(["d"] * (MAX_FOLDER_DEPTH + 2)))
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    events = list(scan(str(tmp_path)))
    assert list(_skipped(events)) == ["/".join(["d"] * MAX_FOLDER_DEPTH)]
    _skeleton_of(events)


@pytest.mark.parametrize(
    ("name", "words"), [("missing", "No such file"), ("link", "symbolic link"), ("pipe", "named pipe")]
)
def test_a_path_that_cannot_be_published_is_refused_in_words(name: str, words: str, tmp_path: Path) -> None:
    os.symlink("elsewhere", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=words):
        list(scan(str(tmp_path / name)))


def _a_home(path: Path) -> Path:
    (path / "library").mkdir(parents=True)
    load_or_create(path / "identity.key")
    load_or_create_host_key(path / "host.key")
    (path / "node.db").write_bytes(b"who is who")
    (path / "library" / "book.txt").write_bytes(b"a book")
    return path


def test_the_home_of_a_node_is_left_out_with_its_keys(tmp_path: Path) -> None:
    _a_home(tmp_path / "home")
    (tmp_path / "note.txt").write_bytes(b"for all")
    events = list(scan(str(tmp_path)))
    assert _skipped(events) == {"home": "it is the folder of a p2pnode node, with its secret keys"}
    assert list(_skeleton_of(events)) == ["note.txt"]


@pytest.mark.parametrize("name", ["", "identity.key", "host.key", "node.db"])
def test_the_home_of_a_node_cannot_be_published(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="secret key"):
        list(scan(str(_a_home(tmp_path / "home") / name)))


def test_the_library_in_a_home_can_be_published(tmp_path: Path) -> None:
    events = list(scan(str(_a_home(tmp_path / "home") / "library")))
    assert list(_skeleton_of(events)) == ["book.txt"]


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_copy_of_a_key_under_another_name_is_left_out(passphrase: str | None, tmp_path: Path) -> None:
    load_or_create(tmp_path / "old-laptop.json", passphrase)
    events = list(scan(str(tmp_path)))
    assert _skipped(events) == {"old-laptop.json": "it is a secret key of p2pnode"}


def test_other_files_called_identity_key_are_files_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "identity.key").write_bytes(b'{"format": "of another program"}')
    events = list(scan(str(tmp_path)))
    assert (_skipped(events), list(_skeleton_of(events))) == ({}, ["identity.key"])
