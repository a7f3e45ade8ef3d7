"""Hole punching (libp2p's DCUtR): two peers that are connected through a relay connect directly, by calling each other at once.

`messages` is the wire, `rules` whom we let ourselves be told to call, `sources` from which port we call,
`opening` the calls at once, `retiring` the end of the relayed connection, `punching` joins them for `net.network`.
Specification: libp2p relay/DCUtR, r0. Only TCP: both sides open from the port they listen on, and their openings cross.
"""
