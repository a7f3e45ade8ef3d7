"""The only package that imports libp2p: a host built safely, the mends of its defects, and services behind the Network port."""

from p2pnode.net.unused import leave_out

leave_out()
