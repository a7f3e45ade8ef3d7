"""Every row of the table "What becomes of what lies there" in the page about publishing: odd things in a folder, each with its outcome.

What is not here stands in test_tree: sockets, pipes, names that are not UTF-8, files that change, homes and keys of p2pnode.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from unittest import mock

import pytest

from p2pnode.local import walk as walking
from p2pnode.local.events import Blocks, Event, Files, Scanned
from p2pnode.local.folder import Folder
from p2pnode.local.tree import root_cid, scan
from p2pnode.local.walk import MAX_PATH_BYTES, Skipped
from tests.support.dags import walk

DOCS = Path(__file__).parents[2] / "p2pnode" / "docs"


def looked_at(path: Path) -> tuple[list[str], dict[str, str]]:
    """(paths of files as a reader finds them, what was left out and why)."""
    events = list(scan(str(path)))
    blocks = {cid: block for event in events if isinstance(event, Blocks) for cid, block in event.blocks}
    scanned = events[-1]
    assert isinstance(scanned, Scanned)
    left_out = {event.path: event.reason for event in events if isinstance(event, Skipped)}
    return [file.path for file in walk(scanned.root, blocks).files], left_out


def leaves_of(events: list[Event]) -> dict[str, object]:
    return {file.path: file.leaves for event in events if isinstance(event, Files) for file in event.files}


def test_an_empty_folder_is_a_work_of_no_files(tmp_path: Path) -> None:
    assert looked_at(tmp_path) == ([], {})
    assert str(root_cid(str(tmp_path))) == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def test_twins_in_two_normal_forms_are_two_files(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "é.txt") for form in ("NFC", "NFD")]
    for name in names:
        (tmp_path / name).write_text(name)
    events = list(scan(str(tmp_path)))
    assert sorted(leaves_of(events)) == sorted(names), "published under the very bytes of their names"
    paths, left_out = looked_at(tmp_path)
    assert (len(paths), len({unicodedata.normalize("NFC", path) for path in paths}), left_out) == (2, 2, {})


def test_hard_links_are_files_of_the_same_leaves(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"the same")
    os.link(tmp_path / "one", tmp_path / "two")
    leaves = leaves_of(list(scan(str(tmp_path))))
    assert leaves["one"] == leaves["two"]


def test_the_holes_of_a_sparse_file_are_zeros(tmp_path: Path) -> None:
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 20 << 20)
    (tmp_path / "full").write_bytes(bytes(20 << 20))
    assert root_cid(str(tmp_path / "sparse")) == root_cid(str(tmp_path / "full"))


def test_a_path_too_long_to_be_opened_is_left_out(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(MAX_PATH_BYTES // 201 + 1):
        os.mkdir("n" * 200, dir_fd=at)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=at)
        with os.fdopen(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=below), "w") as file:
            file.write("short")
        os.close(at)
        at = below
    os.close(at)
    paths, left_out = looked_at(tmp_path)
    assert paths and all(len(f"{tmp_path}/{path}") <= MAX_PATH_BYTES for path in paths)
    assert set(left_out.values()) == {f"its path is longer than {MAX_PATH_BYTES} bytes"}
    for path in paths:
        assert (tmp_path / path).read_text() == "short", "what is published can be served"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_folder_that_cannot_be_looked_into_is_left_out(tmp_path: Path, error: OSError) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.txt").touch()
    names = Folder.names

    def refuse(self: Folder) -> list[bytes]:
        if self.path.endswith("closed"):
            raise error
        return names(self)

    with mock.patch.object(Folder, "names", refuse):
        assert looked_at(tmp_path) == (["open.txt"], {"closed": f"it cannot be read: {error.strerror}"})


def test_a_device_is_left_out_without_being_opened(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "device", 0o20600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device takes root")
    with mock.patch.object(Folder, "open_file", side_effect=AssertionError("opened")) as opened:
        opened.side_effect = lambda name: (
            (_ for _ in ()).throw(FileNotFoundError(2, "no")) if name == walking.HOME_MARK else None
        )
        assert looked_at(tmp_path) == ([], {"device": "it is a device"})


def test_a_folder_met_again_below_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    top = os.stat(tmp_path / "a")
    real = Folder.mark

    def mark(self: Folder) -> tuple[int, int]:
        return (top.st_dev, top.st_ino) if self.path.endswith("/b") else real(self)

    with mock.patch.object(Folder, "mark", mark):
        assert looked_at(tmp_path) == (["a/file"], {"a/b": "it is a folder that it lies in, mounted there again"})


def test_mounts_are_walked_and_a_loop_of_them_ends(tmp_path: Path) -> None:
    """For real: another folder mounted in it, and the folder mounted within itself, in a mount namespace of its own."""
    (tmp_path / "in" / "other").mkdir(parents=True)
    (tmp_path / "in" / "again").mkdir()
    (tmp_path / "in" / "file").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mounted").touch()
    code = (
        "import sys; from p2pnode.local.tree import scan; from p2pnode.local.events import Files; from p2pnode.local.walk import Skipped\n"
        "for e in scan('in'):\n"
        "  if isinstance(e, Files): print('files', [f.path for f in e.files])\n"
        "  if isinstance(e, Skipped): print('left out', e.path)"
    )
    script = 'mount --bind out in/other && mount --rbind in in/again && exec "$0" -c "$1"'
    try:
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(DOCS.parents[1])},
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount namespace may be made here")
    assert done.stdout.splitlines() == ["left out again", "files ['file', 'other/mounted']"]


def test_every_outcome_stands_in_the_docs() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (DOCS / "in-place.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = " ".join(what for what, _ in rows)
    for word in (
        "symbolic link", "cannot be read", "socket", "pipe", "device", "not UTF-8", "normal form", "changes", "shorter", "vanishes",
        "hard link", "sparse", "mount", "folder in itself", "empty folder", "longer than", "deeper than", "home", "secret key",
    ):  # fmt: skip
        assert word in said, word
