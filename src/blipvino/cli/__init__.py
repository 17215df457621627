"""The command line: a file a verb, with no logic of its own."""
