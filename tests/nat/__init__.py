"""The NAT laboratory: real daemons behind real routers of the kernel, on one machine."""
