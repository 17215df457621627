"""``python -m blipvino``."""

from blipvino.cli import main

if __name__ == "__main__":
    main()
