"""How each word of a question is met, weighed: which sentence of the passages answers it, if any does."""
