"""Doors: the terminal and the command line; they translate and never decide."""
