"""Where the images of a job are: folders, patterns, lists."""
