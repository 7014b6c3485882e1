"""The starter: a small language model of the project's own, trained from nothing on text that may be shipped."""
