"""Where the images of a job are: folders, patterns, lists, tar shards, datasets; here or behind URLs."""
