"""The generators of a study's runs: a file each, which nothing else knows by name."""
