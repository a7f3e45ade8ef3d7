"""The simulated Network without faults, under the names that tests of services use: see `p2pnode.sim.network`."""

from p2pnode.sim.network import MAX_GOSSIP_BYTES, Hub, SimNetwork, a_hub

LoopbackNetwork = SimNetwork

__all__ = ["MAX_GOSSIP_BYTES", "Hub", "LoopbackNetwork", "a_hub"]
