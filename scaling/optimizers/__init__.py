"""The description of each optimizer, without torch: one file each, which nothing else names."""
