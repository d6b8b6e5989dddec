"""Judges of studies, one question per file."""
