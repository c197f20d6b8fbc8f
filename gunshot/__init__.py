"""Find gunshots in large sound archives."""

__version__ = "0.1.0"
