"""``python -m scalinglab``: the command line."""

from scalinglab.cli import main

main()
