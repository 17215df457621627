"""Texts of all callers, generated side by side: what is waiting, what is encoded, what is decoded."""
