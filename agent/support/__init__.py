"""Support: when a question goes to a person, to whom, and what becomes of it."""
