"""What follows a mixer, token by token: a file each, with its arithmetic."""
