"""The bundle on disk: a typed manifest, graphs and settings, written whole or not at all, verified when opened."""
