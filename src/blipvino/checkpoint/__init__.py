"""A BLIP checkpoint: its configuration, its tensors, and where it comes from."""
