"""What an app does: sync, apply, match."""
