"""The update of each optimizer, over all members of a pack at once."""
