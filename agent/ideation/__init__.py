"""Thinking together: techniques and their questions."""
