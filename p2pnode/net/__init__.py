"""The only package that imports libp2p: a host built safely, the mends of its defects, and services behind the Network port."""
