"""How far off a fitted number may be: resampling, profiles, refits with less in view."""
