"""What the laboratory's own tests run within namespaces: one socket each, so that a router is known by what it does to it.

seen_as.py listen ADDRESS PORT            prints `ready`, then answers each connection with where it comes from
seen_as.py ask PORT ADDRESS PORT          from a port of its own; prints where the other side sees it, or `nothing`
"""

from __future__ import annotations

import socket
import sys

WAIT_S = 3.0


def listen(address: str, port: int) -> None:
    with socket.create_server((address, port), reuse_port=True) as server:
        print("ready", flush=True)
        while True:
            connection, source = server.accept()
            with connection:
                connection.sendall(f"{source[0]}:{source[1]}".encode())


def ask(port: int, address: str, there: int) -> None:
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        asking.settimeout(WAIT_S)
        asking.bind(("0.0.0.0", port))
        try:
            asking.connect((address, there))
            print(asking.recv(100).decode())
        except OSError:
            print("nothing")


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(sys.argv[2], int(sys.argv[3]))
    else:
        ask(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
