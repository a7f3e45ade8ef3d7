"""Syncthing to Syncthing over TLS: `syncthing.py FILE FOLDER`. Measured from the first byte on the other side to the file's own name."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from common import arguments, digest, free_port, loopback_up, tell

PROGRAM = os.environ.get("P2PNODE_SYNCTHING") or shutil.which("syncthing") or "syncthing"
CONFIG = """<configuration version="36">
<folder id="work" label="work" path="{path}" type="sendreceive" rescanIntervalS="3600" fsWatcherEnabled="false">
<device id="{own}"></device><device id="{other}"></device></folder>
<device id="{own}" name="own"><address>dynamic</address></device>
<device id="{other}" name="other" compression="never"><address>tcp://127.0.0.1:{other_port}</address></device>
<gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>bench</apikey></gui>
<options><listenAddress>tcp://127.0.0.1:{port}</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
<startBrowser>false</startBrowser><autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>
<announceLANAddresses>false</announceLANAddresses></options>
</configuration>
"""


class Side:
    def __init__(self, home: Path) -> None:
        self.home, self.port, self.gui = home, free_port(), free_port()
        self.path = home / "folder"
        self.path.mkdir(parents=True)
        (self.path / ".stfolder").mkdir()
        subprocess.run([PROGRAM, "-generate", str(home)], check=True, capture_output=True, env=self.environment)
        found = re.search(r'<device id="([A-Z0-9-]{63})"', (home / "config.xml").read_text())
        assert found is not None
        self.id = found[1]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"HOME": str(self.home), "STNOUPGRADE": "1", "STNODEFAULTFOLDER": "1"}

    def start(self, other: Side) -> None:
        text = CONFIG.format(
            path=self.path, own=self.id, other=other.id, port=self.port, other_port=other.port, gui=self.gui
        )
        (self.home / "config.xml").write_text(text)
        command = [PROGRAM, "-home", str(self.home), "-no-browser", "-no-restart"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment, start_new_session=True
        )

    def ask(self, method: str, path: str) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gui}/rest/{path}", method=method, headers={"X-API-Key": "bench"}
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            text: str = answer.read().decode()
            return text


def connected(side: Side, other: Side) -> bool:
    try:
        return f'"{other.id}"' in (text := side.ask("GET", "system/connections")) and '"connected": true' in text
    except OSError:
        return False


def main() -> None:
    file, folder = arguments()
    loopback_up()
    anna, ben = Side(folder / "anna"), Side(folder / "ben")
    for one, other in ((anna, ben), (ben, anna)):
        one.start(other)
    try:
        deadline = time.monotonic() + 60
        while not connected(ben, anna):
            assert time.monotonic() < deadline, "the two did not find each other"
            time.sleep(0.1)
        os.link(file, anna.path / "work.bin")
        anna.ask("POST", "db/scan?folder=work")
        began = 0.0
        target = ben.path / "work.bin"
        while not target.exists():
            if not began and any(ben.path.glob(".syncthing.*")):
                began = time.perf_counter()
            assert time.monotonic() < deadline + 300, "nothing arrived"
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        tell(seconds=seconds, same=digest(target) == digest(file))
    finally:
        for side in (anna, ben):
            os.killpg(side.process.pid, signal.SIGKILL)  # it watches over a process of its own
            side.process.wait()


if __name__ == "__main__":
    main()
