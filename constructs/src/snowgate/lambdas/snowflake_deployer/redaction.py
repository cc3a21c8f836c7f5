"""Keep secret text out of logs and answers."""

from __future__ import annotations

SHORTEST = 6


class Secrets:
    """The secret texts seen in one invocation."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def add(self, text: str) -> None:
        """Remember a secret: whole and line by line, because messages quote parts of a key; real or literal ``\\n``."""
        lines = text.replace("\\n", "\n").splitlines()
        self._texts.update(part for part in (text, *lines) if len(part) >= SHORTEST and not part.startswith("-----"))

    def hide(self, text: str) -> str:
        """Give the text with every secret replaced by three asterisks."""
        for secret in sorted(self._texts, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text
