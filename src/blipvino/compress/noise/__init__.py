"""Where a compressed graph's error comes from: float graph and compressed graph run side by side."""
