"""What this machine is: its CPU, its memory, its libraries."""
