"""The service under a real systemd: installed, hardened, ready, stopped in time, installed again and removed."""

from __future__ import annotations

import pytest

from tests.support import user_manager

pytestmark = [
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.skipif(bool(user_manager.missing()), reason=user_manager.missing()),
]
SCRIPT = """
export P2PNODE_HOME="$HOME/node"; mkdir -p "$P2PNODE_HOME"
printf 'listen=["/ip4/127.0.0.1/tcp/0"]\\nlan=false\\n' > "$P2PNODE_HOME/config.toml"
$PY -m p2pnode service install; echo "installed: $?"
$PY -m p2pnode service status
systemctl --user show p2pnode -p ActiveState,StatusText,NRestarts,WatchdogUSec
$PY -m p2pnode status | grep "peer ID"
touch "$HOME/mine" && $PY -m p2pnode publish "$HOME/mine" --title Mine > /dev/null; echo "published: $?"
systemctl --user stop p2pnode; systemctl --user show p2pnode -p Result,ExecMainStatus
$PY -m p2pnode service install > /dev/null; echo "again: $?"
mkdir -p "$HOME/.config/systemd/user/p2pnode.service.d"
printf '[Service]\\nRestartSec=1\\n' > "$HOME/.config/systemd/user/p2pnode.service.d/soon.conf"; systemctl --user daemon-reload
systemctl --user kill -s KILL p2pnode
i=0; while [ $i -lt 600 ] && ! systemctl --user show p2pnode -p NRestarts | grep -q =1; do sleep 0.1; i=$((i+1)); done
systemctl --user show p2pnode -p NRestarts | sed 's/^/after a kill: /'
$PY -m p2pnode service uninstall > /dev/null; echo "removed: $?"
$PY -m p2pnode service status
"""


def test_it_is_installed_runs_hardened_is_started_again_and_goes() -> None:
    said = user_manager.run(SCRIPT)
    for line in (
        "installed: 0",
        "ActiveState=active",
        "StatusText=peer ID 12D3KooW",
        "NRestarts=0",
        "published: 0",
        "Result=success",
        "ExecMainStatus=0",
        "again: 0",
        "after a kill: NRestarts=1",
        "removed: 0",
        "no; p2pnode service install",
    ):
        assert line in said, said
    assert "226/NAMESPACE" not in said
