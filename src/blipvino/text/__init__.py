"""Results as text: tables, units, the terminal."""
