"""What normalises: a file each, with its arithmetic."""
