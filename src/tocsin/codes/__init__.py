"""One-time codes: make, parse, check, hint."""
