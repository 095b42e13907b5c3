"""Messages on their way out, and what becomes of those that are in doubt."""
