"""Runs that a program of somebody else trains."""
