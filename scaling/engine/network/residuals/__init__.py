"""How a branch is added to the stream: a file each, with its arithmetic."""
