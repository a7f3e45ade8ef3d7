"""The texts that make a node a service of its user: a systemd unit, and a property list for launchd.

Pure text; where it goes and who is told stands in `cli.service`. The unit takes away what a node never needs, so that a mistake in it (or
in a library) reaches less: no new rights, no devices, no kernel settings, no other address families, and a file system to read only, but
for the own folders of the person: works are fetched to wherever he says. What is not taken away is told in the documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

UNIT_NAME = "p2pnode.service"
LAUNCHD_LABEL = "p2pnode"
STOP_S = 10
"""Before systemd kills what did not stop: a node stops within 5 s."""
WATCHDOG_S = 120
"""Without a sign of life for so long the node hangs, and is started anew."""
OPEN_FILES = 20_000
"""All connections, a publishing of many files, and the database."""
FATAL_STATUSES = "2 6"
"""A wrong setting and a second daemon do not go away by starting again."""

_HARDENING = """\
NoNewPrivileges=yes
PrivateUsers=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
"""


def systemd_unit(
    command: Sequence[str], *, writable: Sequence[str], variables: Sequence[tuple[str, str]] = (), hardened: bool = True
) -> str:
    """A user unit that runs `command`. `writable`: folders that stay writable, absolute; one that is missing is no error."""
    lines = [
        "[Unit]",
        "Description=p2pnode, a commons on your own machine",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + " ".join(_quoted(part, in_command=True) for part in command),
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in variables),
        "Restart=on-failure",
        "RestartSec=30",
        f"RestartPreventExitStatus={FATAL_STATUSES}",
        f"WatchdogSec={WATCHDOG_S}",
        f"TimeoutStopSec={STOP_S}",
        "KillMode=mixed",
        f"LimitNOFILE={OPEN_FILES}",
        *(
            ["", *_HARDENING.splitlines(), *(f"ReadWritePaths={_quoted('-' + path)}" for path in writable)]
            if hardened
            else []
        ),
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    return "\n".join(lines)


def launchd_plist(command: Sequence[str], *, log: str, variables: Sequence[tuple[str, str]] = ()) -> str:
    """A LaunchAgent that runs `command` when its user logs in, and again when it failed."""
    arguments = "\n".join(f"    <string>{escape(part)}</string>" for part in command)
    environment = "\n".join(f"    <key>{escape(n)}</key>\n    <string>{escape(v)}</string>" for n, v in variables)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
{environment}
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>{STOP_S}</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>SoftResourceLimits</key>
  <dict>
    <key>NumberOfFiles</key>
    <integer>{OPEN_FILES}</integer>
  </dict>
  <key>StandardErrorPath</key>
  <string>{escape(log)}</string>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
"""


def _quoted(text: str, *, in_command: bool = False) -> str:
    """One word of a unit file: systemd's own quoting, its % specifiers, and in a command line its $ variables, taken literally."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    return f'"{text}"'
