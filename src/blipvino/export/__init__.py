"""Bundles in other formats, for programs that do not run blipvino."""
