"""The laws that are fitted where none is named.

They stand apart from the laws, so that a command line can show its defaults without loading those.
"""

from scalinglab.scaling.records.plan_file import AnswerConfig

LAW = AnswerConfig.law  # of the final loss, in N and D
CURVE_LAW = AnswerConfig.curve_law  # of whole training curves of one size
SIZED_CURVE_LAW = "joint_annealing"  # of whole training curves of several sizes

# What a mixture is made of (law=auto).
MIXED_SURFACES = ("chinchilla", "kaplan_nd", "skaling", "overtrained", "farseer")
MIXED_CURVES = ("lr_annealing", "multi_power", "functional", "fading_power")
