"""Commands that a person types, one a file."""
