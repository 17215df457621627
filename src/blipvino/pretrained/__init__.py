"""Checkpoints that are used without a separate step: optimized once, kept, and found again."""
