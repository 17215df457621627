"""A bundle beside its original: accuracy, cost, error by layer, the report, and the race with other runtimes."""
