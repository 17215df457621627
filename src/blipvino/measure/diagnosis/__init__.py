"""Where a compressed model's error comes from: graph by graph, and layer by layer."""
