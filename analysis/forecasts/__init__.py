"""What runs that have not ended will come to, and how right that was."""
