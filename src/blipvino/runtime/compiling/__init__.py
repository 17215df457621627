"""Graphs compiled for this machine, tested on golden samples, and kept between starts."""
