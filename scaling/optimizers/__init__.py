"""What each optimizer is, without torch: a file each, which nothing else knows by name."""
