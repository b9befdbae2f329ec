"""What operators' machines ask of a server, on a listener of its own: `app`. Nothing of it is on the public address."""
