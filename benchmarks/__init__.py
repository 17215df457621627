"""Measurements that need full-size models: run by hand, and by `make test-all`."""
