"""What a fit is worth: diagnosis, warnings, and laws judged by what they had not seen."""
