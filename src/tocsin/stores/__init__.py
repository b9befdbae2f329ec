"""Object stores and what they guarantee."""
