"""The command: ``blipvino``, ``python -m blipvino``."""

import sys

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command line. Ctrl-C while its libraries are imported, which takes a second, ends it as later."""
    try:
        from blipvino.cli.main import main as run  # noqa: PLC0415  # so that it can be interrupted
    except KeyboardInterrupt:
        print("blipvino: interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    run()


if __name__ == "__main__":
    main()
