"""What a job leaves: finished shards, a manifest that says what they are, a summary."""
