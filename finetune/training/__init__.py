"""The training of an adapter: data and a recipe in, checkpoints and a sealed adapter out."""
