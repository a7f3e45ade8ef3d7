"""Helia, with our gateway as its only source, fetches a folder over HTTP and verifies every block of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.gateway.conftest import opened
from tests.interop.install import IPFS, NotInstallable, install
from tests.support.contents import flat, hold, many_files
from tests.support.dags import Tree, build
from tests.support.helia import FOLDER, node_program

pytestmark = [pytest.mark.foreign, pytest.mark.trio]
JS_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def helia_installed() -> None:
    """Else this fails in CI and is skipped elsewhere."""
    try:
        install(IPFS)
    except NotInstallable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


async def test_helia_reads_through_our_gateway(helia_installed: None, tmp_path: Path) -> None:
    tree: Tree = {"film.bin": random.Random(1).randbytes(3_400_000), "deep": {"er": many_files(60)}, "empty": b""}
    dag = build(tree)
    with trio.fail_after(JS_TIMEOUT_S + 10):
        async with opened() as gateway:
            await hold(gateway.store, dag)
            about = {
                "url": f"http://127.0.0.1:{gateway.port}",
                "token": gateway.token,
                "cid": str(dag.root),
                "out": str(tmp_path / "out"),
            }
            command = [node_program() or "node", "helia_gateway.mjs", json.dumps(about)]
            run = partial(subprocess.run, cwd=FOLDER, capture_output=True, text=True, timeout=JS_TIMEOUT_S, check=False)
            done = await trio.to_thread.run_sync(run, command)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["files"] == 62
    assert told["asked"] == ["?format=raw"], "blocks, as the trustless gateway specification has them"
    written = {str(file.relative_to(tmp_path / "out")): file.read_bytes() for file in _files(tmp_path / "out")}
    assert written == flat(tree)


def _files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]
