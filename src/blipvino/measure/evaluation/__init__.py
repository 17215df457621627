"""Accuracy of a bundle, beside its original: answers and captions, with confidence intervals."""
