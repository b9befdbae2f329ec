"""The running whole: settings, secrets, clock, and the order of the work."""
