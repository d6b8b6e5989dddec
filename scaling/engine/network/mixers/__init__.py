"""What mixes the tokens of a sequence: a file each, with its arithmetic."""
