"""Questions about runs: one file for each, with its options, its work and its answer.

The command line and the methods of `scalinglab.Study` and `scalinglab.Table` call the same
functions, ``fit(source, options)``, so that both check and refuse alike.
"""
