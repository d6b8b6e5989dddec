"""How far off a fitted number may be.

``resample`` draws resamples (of the clusters in ``analysis.tables.clusters``), ``spread`` turns
them into intervals, ``freedom`` detects too few independent runs, ``rolling`` widens predictions
beyond the data, and ``expected`` predicts the width of intervals before any run is trained.
"""
