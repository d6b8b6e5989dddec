"""From records to the points of a fit: read and checked; every row left out is counted."""
