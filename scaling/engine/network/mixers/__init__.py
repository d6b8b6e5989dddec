"""The mixers of tokens (attention and others): a file each, with its arithmetic."""
