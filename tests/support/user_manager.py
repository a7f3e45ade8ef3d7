"""A real systemd for one user who is nobody, in a mount namespace of its own: what a service is worth where it will run.

Needs root and systemd, leaves nothing behind. `run(script)` gives a shell script the manager's surroundings (`systemctl --user` works,
`$PY` is a Python with everything, HOME is a folder that goes afterwards) and returns what it printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

USER = 65534
SCRIPT_S = 240
PYTHON = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
"""Debian's: the one that made our environment may lie in a folder that only root enters."""
OUTSIDE = """
mount --make-rprivate /
mkdir -p "$CGROUPS" && mount -t cgroup2 none "$CGROUPS" && mkdir -p "$CGROUPS/$NAME" && echo $$ > "$CGROUPS/$NAME/cgroup.procs"
umount -l /sys/fs/cgroup; mount --bind "$CGROUPS" /sys/fs/cgroup
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/systemd/unit-root /run/systemd/propagate && mkdir -p -m 700 "$XDG_RUNTIME_DIR"
chown -R $ID:$ID "/sys/fs/cgroup/$NAME" "$XDG_RUNTIME_DIR" "$HOME"
setpriv --reuid $ID --regid $ID --clear-groups sh -c "$INSIDE"
echo $$ > /sys/fs/cgroup/cgroup.procs
i=0; while [ $i -lt 100 ]; do find "/sys/fs/cgroup/$NAME" -depth -type d -exec rmdir {} + 2>/dev/null && break; i=$((i+1)); sleep 0.1; done
"""
INSIDE = """
cd "$HOME"
/usr/lib/systemd/systemd --user --unit=basic.target > "$HOME/manager.log" 2>&1 &
manager=$!
i=0; while [ ! -S "$XDG_RUNTIME_DIR/systemd/private" ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done
sh -c "$SCRIPT"
kill $manager; wait $manager
"""


def missing() -> str:
    """Why it cannot run here; "" if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a user manager of systemd is started by root on Linux"
    if not os.path.exists("/usr/lib/systemd/systemd") or shutil.which("setpriv") is None:
        return "the package systemd is missing: scripts/test installs it"
    return "" if os.path.exists(PYTHON) else f"{PYTHON} is missing, and nobody may not use another"


def run(script: str) -> str:
    """What the script printed, both streams together."""
    with (
        tempfile.TemporaryDirectory() as made
    ):  # not pytest's folders, to which pytest shuts out everybody else again and again
        folder = Path(made)
        folder.chmod(0o711)
        (folder / "home").mkdir(mode=0o700)
        return _run_in(folder, script)


def _run_in(folder: Path, script: str) -> str:
    root = Path(__file__).parents[2]
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder / "home"),
        "ID": str(USER),
        "NAME": f"p2pnode-test-{os.getpid()}",
        "CGROUPS": str(folder / "cgroups"),
        "XDG_RUNTIME_DIR": f"/run/user/{USER}",
        "PYTHONPATH": f"{root}:{sysconfig.get_path('purelib')}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PY": PYTHON,
        "OUTSIDE": OUTSIDE,
        "INSIDE": INSIDE,
        "SCRIPT": script,
    }
    command = ["unshare", "--mount", "sh", "-c", OUTSIDE]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SCRIPT_S
    )
    return done.stdout
