"""What the words of a sentence are and how they hang together: parts of speech, dependencies, key phrases."""
