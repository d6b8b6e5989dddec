"""The rules that add a branch to the stream: a file each, with its arithmetic."""
