"""What a matrix of the blocks is: a file each, with its arithmetic."""
