"""How well a bundle for retrieval finds and matches, beside its original."""
