"""Circuit relay v2 of our own on libp2p's wire format: connections between two peers that reach each other only through a third.

`messages` is the wire, `places` who may be reached through us, `hop` the relay's side, `splice` what flows through it; `stop` is the
side of who is called, `client` of who calls and reserves, `reservations` keeps places at relays, `circuit` makes a stream a connection.
`relaying` joins them for `net.network`. Specification: libp2p circuit relay v0.2.0.
"""
