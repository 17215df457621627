"""``python -m blipvino``."""

from blipvino.cli.main import main

if __name__ == "__main__":
    main()
