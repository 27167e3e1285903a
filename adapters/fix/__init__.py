"""FIX venues: a pure codec, and quickfix in a child process of its own."""
