"""The pure core: formats, rules and arithmetic. No I/O, no await, no clock, no randomness: all of it is given as arguments."""
