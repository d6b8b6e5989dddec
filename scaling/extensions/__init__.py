"""Files of a person's own that add parts: imported, told apart, known by the runs that use them."""
