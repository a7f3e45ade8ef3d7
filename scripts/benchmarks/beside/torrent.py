"""libtorrent to libtorrent over plain TCP: `torrent.py FILE FOLDER`. A v2 torrent, so that both hash with SHA-256 as we do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import libtorrent as lt
from common import arguments, digest, free_port, loopback_up, resident_mib, tell


def session(port: int) -> lt.session:
    return lt.session(
        {
            "listen_interfaces": f"127.0.0.1:{port}",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
            "out_enc_policy": int(lt.enc_policy.disabled),
            "in_enc_policy": int(lt.enc_policy.disabled),
            "send_buffer_watermark": 8 << 20,
            "max_out_request_queue": 2000,
            "request_queue_time": 3,
        }
    )


def seed(torrent: Path, folder: Path, port: int) -> None:
    running = session(port)
    handle = running.add_torrent({"ti": lt.torrent_info(str(torrent)), "save_path": str(folder)})
    while not handle.status().is_seeding:
        time.sleep(0.05)
    tell(ready=True)
    sys.stdin.read()


def main() -> None:
    file, folder = arguments()
    loopback_up()
    storage = lt.file_storage()
    lt.add_files(storage, str(file))
    made = lt.create_torrent(storage, 0, lt.create_torrent.v2_only)
    lt.set_piece_hashes(made, str(file.parent))
    torrent = folder / "work.torrent"
    torrent.write_bytes(lt.bencode(made.generate()))
    port = free_port()
    command = [sys.executable, __file__, "seed", str(torrent), str(file.parent), str(port)]
    seeder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert seeder.stdout is not None and json.loads(seeder.stdout.readline())["ready"]
        running = session(free_port())
        target = folder / "got"
        target.mkdir()
        handle = running.add_torrent({"ti": lt.torrent_info(str(torrent)), "save_path": str(target)})
        while handle.status().state == lt.torrent_status.checking_files:
            time.sleep(0.01)
        began = time.perf_counter()
        handle.connect_peer(("127.0.0.1", port))
        while not handle.status().is_seeding:
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        handle.flush_cache()  # what it has not written yet does not count against it, but must come
        deadline = time.monotonic() + 10
        while not (same := digest(target / file.name) == digest(file)) and time.monotonic() < deadline:
            time.sleep(0.5)
        tell(seconds=seconds, same=same, resident_mib=resident_mib(seeder.pid))
    finally:
        seeder.kill()
        seeder.wait()


if __name__ == "__main__":
    if sys.argv[1] == "seed":
        seed(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
