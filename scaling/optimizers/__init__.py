"""What each optimizer is, without torch: its keys and their ranges."""
