"""HTTP for apps and for signed-in people; no rules of its own."""
