"""Photos as people keep them: which ones are meant, and what is written beside or into them."""
