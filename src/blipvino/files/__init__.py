"""Files written whole or not at all, files read with their faults named, JSON back into dataclasses."""
