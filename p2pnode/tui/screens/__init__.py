"""The six screens. Each asks the node for what it shows and hands every key to the actions table."""
