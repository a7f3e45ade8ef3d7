"""A backup whose settings cannot be read is refused like any other damage, and leaves no home."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pnode.config import Home
from p2pnode.errors import DecodeError
from p2pnode.local.archive import creating_archive
from p2pnode.restore import restore


@pytest.mark.parametrize("settings", [b"= [", b"\xff\xfe", b"a = " + b"[" * 5000], ids=["toml", "utf-8", "deep"])
def test_settings_that_cannot_be_read_are_refused_with_words(tmp_path: Path, settings: bytes) -> None:
    with creating_archive(str(tmp_path / "a"), {}) as archive:
        archive.add_bytes("node.db", b"")
        archive.add_bytes("config.toml", settings)
    with pytest.raises(DecodeError, match=r"config\.toml in this backup cannot be read"):
        restore(Home(tmp_path / "home"), str(tmp_path / "a"), None, None, check=False, on_bytes=lambda count: None)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
