"""Writes that need more than one request: safe creation, the look-up of lost creations, changes by PUT."""
