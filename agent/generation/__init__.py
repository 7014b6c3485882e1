"""Where replies are worded: one protocol, three tenants (local, remote, extractive)."""
