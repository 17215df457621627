"""Texts from the decoder: keys and values, steps, generation, ranking."""
