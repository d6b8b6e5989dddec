"""Tokenizers, which turn text into tokens: artefacts with a hash."""
