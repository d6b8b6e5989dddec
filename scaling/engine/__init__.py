"""One step of training: k models of one shape as one stacked model.

All that imports torch stands below: it is imported here, without collections of garbage. Its import
makes 200,000 objects that stay, and looking through them took a quarter of the time in which a
worker starts. In a process of this package none looks through them later, either; a notebook has
objects of others, which may become garbage.
"""

import gc
import os

from scalinglab.scaling.training.child import OURS

_collects = gc.isenabled()
gc.disable()
try:
    import torch  # noqa: F401
finally:
    if _collects:
        gc.enable()
if OURS in os.environ:
    gc.freeze()
