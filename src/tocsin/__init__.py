"""Backend for exposure notification. Where to begin: README, then docs/way-of-the-data.md."""

__version__ = "0.4.0.dev0"
