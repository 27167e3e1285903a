"""FIX venues: pure encoding and decoding, and quickfix in a child process of its own."""
