"""Large real inputs through real daemons: a Linux source tree, a hundred thousand tiny files, fifty thousand entries, 20 GiB.

By hand (`scripts/test --long`); CI publishes and fetches small folders in test_publishing. Figures: `scripts/bench real`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from p2pnode.local.tree import root_cid
from scripts.benchmarks import real
from scripts.benchmarks.moving import resident
from tests.e2e.test_publishing import zeros
from tests.support.daemons import RealDaemon, wait_until

pytestmark = [pytest.mark.long, pytest.mark.network]
PATIENCE_S = 1800.0
PUBLISHER_MIB = 200.0
"""The most memory of who publishes and serves."""


@pytest.mark.parametrize("name", ["linux", "tiny", "entries"])
def test_a_large_tree_is_published_listed_shown_fetched_and_revised(
    name: str, start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    path = tmp_path / name
    if not real.INPUTS[name](path):
        pytest.skip("the package linux-source is not installed")
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="they are connected")
    answer = anna.json("publish", str(path), "--title", name, timeout_s=PATIENCE_S)
    assert (answer["skipped"], answer["cid"]) == ([], str(root_cid(str(path))))
    assert [work["title"] for work in anna.lines("list")] == [name]
    assert anna.json("show", answer["work"])["files"] == answer["files"]
    got = ben.json("get", answer["work"], timeout_s=PATIENCE_S)
    assert real.differences(path, Path(got["path"])) == 0
    first = next(file for file in sorted(path.rglob("*")) if file.is_file() and not file.is_symlink())
    first.chmod(0o644)
    with open(first, "ab") as file:
        file.write(b"x")
    revised = anna.json("publish", "--revises", answer["work"], timeout_s=PATIENCE_S)
    assert revised["cid"] == str(root_cid(str(path))) != answer["cid"]
    assert resident(anna, "VmHWM") < PUBLISHER_MIB


def test_a_file_of_twenty_gigabytes(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    cid = zeros(tmp_path / "long.bin", real.SPARSE_BYTES)
    node = start("anna")
    answer = node.json("publish", str(tmp_path / "long.bin"), "--title", "Long", timeout_s=PATIENCE_S)
    assert (answer["cid"], answer["bytes"]) == (cid, real.SPARSE_BYTES)
    assert resident(node, "VmHWM") < PUBLISHER_MIB
