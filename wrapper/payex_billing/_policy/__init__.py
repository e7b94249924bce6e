"""When the client sends again, and which error it raises. Pure."""
