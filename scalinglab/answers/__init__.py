"""What can be asked of runs: one file a question, with its options, its work and its answer.

The command line and the methods of `scalinglab.Study` and `scalinglab.Table` call the same
functions, ``answer(source, options)``, so that both check and refuse alike.
"""
