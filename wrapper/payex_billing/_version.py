"""The version: pyproject.toml reads it here, and a release has a tag with the same number."""

__version__ = "0.1.0"
