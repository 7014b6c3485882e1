"""First floor: one message to one reply."""
