"""From records to the points of a fit: read, checked, and every row that is left out told."""
