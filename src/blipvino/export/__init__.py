"""A bundle in the form that other software reads."""
