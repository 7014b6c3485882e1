"""How a team feels about what: the mood of watched channels by topic over time, and alarms when it turns."""
