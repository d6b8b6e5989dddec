"""``python -m scaling`` at the top of a checkout: the command line, as ``scaling`` is installed."""

from scalinglab.cli import main

main()
