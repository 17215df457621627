"""What was measured, as tables of text for the terminal and the page alike."""
