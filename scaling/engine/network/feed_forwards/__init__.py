"""The feed-forward layers after a mixer: a file each, with its arithmetic."""
