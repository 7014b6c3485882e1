"""Training data: read from files, turns and passages, cleaned, checked row by row, split, and sealed with a card."""
