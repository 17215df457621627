"""From a checkpoint to a bundle: optimize, the original, the model card, and the search for a recipe."""
