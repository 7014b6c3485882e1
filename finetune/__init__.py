"""Workshop: rated turns and labelled rows to better heads and adapters."""
