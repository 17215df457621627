"""Jobs over any number of images: rows in, rows of captions, answers, rankings and embeddings out."""
