"""A study's answer, its verdict, its figures and its page."""
