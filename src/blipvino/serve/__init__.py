"""A server of captions, answers and searches over HTTP."""
