"""Programs of others that move the same bytes, each a script of its own: it runs under the bench's other environment, without p2pnode.

Every script starts both sides on loopback with nothing to bootstrap from, moves one file, checks its bytes and prints one line of JSON.
"""
