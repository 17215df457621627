"""Measures of texts: VQA accuracy, caption metrics, and confidence intervals."""
