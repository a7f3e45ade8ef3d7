"""Gossipsub v1.1 of our own on libp2p's wire format, without I/O: RPCs, signatures, what was seen, and the mesh.

Joined to streams by `net.gossip`; knows no streams, tasks or clocks itself.
"""
