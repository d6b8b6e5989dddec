"""Forecasts of unfinished runs, and the record of their errors."""
