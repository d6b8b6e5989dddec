"""How far off a fitted number may be.

``resample`` draws the refits (what is drawn together: ``analysis.tables.clusters``), ``spread``
makes intervals of them, ``freedom`` says when there are too few independent runs, ``rolling`` and
``analysis.fitting.extrapolation`` widen what lies beyond the data, ``expected`` says it in advance.
"""
