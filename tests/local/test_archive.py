"""The file of a backup: what went in comes out, and what is not whole in every byte is refused, whatever it is."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from p2pnode.errors import DecodeError, RefusedError, StoreError
from p2pnode.local.archive import HEAD, SUMS, creating_archive, read_archive

ODD = "library/é \udcff'/name"


def make(path: Path) -> bytes:
    (path.parent / "file").write_bytes(b"bees" * 5000)
    with creating_archive(str(path), {"content": True}) as archive:
        archive.add_bytes("config.toml", b"lan = false\n")
        archive.add_folder("library/empty")
        assert archive.add_file(ODD, str(path.parent / "file"))
        assert not archive.add_file("library/gone", str(path.parent / "gone"))
    return path.read_bytes()


def read(path: Path, target: Path | None = None) -> dict[str, object]:
    return read_archive(str(path), lambda name: None if target is None else str(target / name), lambda about: None)


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    make(tmp_path / "a")
    about = read(tmp_path / "a", tmp_path / "out")
    assert (about["format"], about["version"], about["content"]) == ("p2pnode backup", 1, True)
    assert (tmp_path / "out" / "config.toml").read_bytes() == b"lan = false\n"
    assert (tmp_path / "out" / ODD).read_bytes() == b"bees" * 5000
    assert (tmp_path / "out" / "library" / "empty").is_dir()
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    with tarfile.open(tmp_path / "a") as tar:
        assert tar.getnames()[0] == HEAD and tar.getnames()[-1] == SUMS


def test_nothing_is_overwritten_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(RefusedError), creating_archive(str(tmp_path / "a"), {}):
        pass
    with pytest.raises(ZeroDivisionError), creating_archive(str(tmp_path / "b"), {}):
        raise ZeroDivisionError
    with pytest.raises(StoreError), creating_archive(str(tmp_path / "no" / "b"), {}):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "file"]


def test_every_end_before_the_end_is_refused(tmp_path: Path) -> None:
    whole = make(tmp_path / "a")
    sums_end = whole.rindex(b"}") + 1
    for end in [*range(0, sums_end, 997), sums_end - 1]:
        (tmp_path / "b").write_bytes(whole[:end])
        with pytest.raises(DecodeError):
            read(tmp_path / "b")


def test_any_changed_byte_that_matters_is_noticed(tmp_path: Path) -> None:
    """Bytes that no reader looks at (padding, times) may change: then what comes out is still what went in."""
    whole, rng = make(tmp_path / "a"), random.Random(5)
    for at in [whole.index(b"lan ="), whole.index(b"bees"), *rng.sample(range(len(whole)), 150)]:
        (tmp_path / "b").write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        seen: dict[str, bytes] = {}
        out = tmp_path / f"out{at}"
        try:
            read(tmp_path / "b", out)
        except DecodeError:
            continue
        seen = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert seen == {"config.toml": b"lan = false\n", ODD: b"bees" * 5000}, at


@pytest.mark.parametrize("name", ["../evil", "/evil", "library/../../evil", "library//x", "./x", ""])
def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a"
    head = json.dumps({"format": "p2pnode backup", "version": 1}).encode()
    with tarfile.open(archive, "w") as tar:
        for member, data in ((HEAD, head), (name, b"x")):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(DecodeError):
        read(archive, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "a"
    head = json.dumps({"format": "p2pnode backup", "version": 1}).encode()
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo(HEAD)
        info.size = len(head)
        tar.addfile(info, io.BytesIO(head))
        link = tarfile.TarInfo("library/x")
        link.type, link.linkname = kind, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DecodeError):
        read(archive, tmp_path / "out")


def test_a_file_with_holes_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    head = json.dumps({"format": "p2pnode backup", "version": 1}).encode()
    with tarfile.open(tmp_path / "a", "w") as tar:
        info = tarfile.TarInfo(HEAD)
        info.size = len(head)
        tar.addfile(info, io.BytesIO(head))
    holes = tarfile.TarInfo("library/bomb")
    holes.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(holes.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" * 2  # one piece of data, of no bytes
    header[483:495] = b"00000400000\0"  # and a size of 128 KiB all the same
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:1024] + bytes(header) + whole[1024:])
    with tarfile.open(tmp_path / "a") as tar:
        assert tar.getmember("library/bomb").size == 128 << 10
    with pytest.raises(DecodeError, match="no plain file"):
        read(tmp_path / "a", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", [HEAD, SUMS])
def test_json_without_a_bottom_is_refused(tmp_path: Path, at: str) -> None:
    head = json.dumps({"format": "p2pnode backup", "version": 1}).encode()
    with tarfile.open(tmp_path / "a", "w") as tar:
        for name, data in ((HEAD, head), (SUMS, b"{}")):
            data = b"[" * 60_000 if name == at else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(DecodeError, match="no whole backup"):
        read(tmp_path / "a")


def test_a_folder_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"x" * 5000, b"\0" * 20000, b'{"format": "p2pnode backup"}'], ids=["empty", "text", "zeros", "json"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DecodeError):
        read(tmp_path / "a")


def test_a_later_version_is_refused_with_words(tmp_path: Path) -> None:
    with creating_archive(str(tmp_path / "a"), {"version": 2}):
        pass
    with pytest.raises(DecodeError, match="version 2"):
        read(tmp_path / "a")
    with pytest.raises(StoreError):
        read(tmp_path / "nothing")
