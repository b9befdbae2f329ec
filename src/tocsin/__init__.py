"""Backend for exposure notification. Where to begin: README, then docs/way-of-the-data.md."""

__version__ = "0.1.0.dev0"
