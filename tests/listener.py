"""A reporter that shows nothing."""

from __future__ import annotations

from blipvino.progress import Reporter


class Listener(Reporter):
    """Keeps what is said."""

    def __init__(self):
        super().__init__(show=False)
        self.said = []

    def say(self, message):
        self.said.append(message)
