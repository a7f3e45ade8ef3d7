"""Windows over a screen: forms that lead to one control call, and texts to read. Each is dismissed with what it did, or None."""
