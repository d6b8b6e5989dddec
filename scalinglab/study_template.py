"""The study file that ``scaling new`` writes: small, complete, each line explained."""

from __future__ import annotations

_TEMPLATE = """\
# @package _global_
# The study NAME:
#     scaling plan study=NAME      its runs, their cost and the expected precision; trains nothing
#     scaling launch study=NAME    trains it; run it again after any interruption
#     scaling report study=NAME    the answer, and outputs/studies/NAME/report.html

# defaults:                         # other groups of conf/ or scaling_conf/
#   - override /model: llama        # transformer, llama, gpt2, gemma, nanochat ...
#   - override /data: text          # stdlib (Python sources, the default), text, tokens, markov ...
#   - override /optimizer: muon     # adamw, muon, lion, soap ...
#   - override /schedule: cosine    # wsd, cosine, constant, linear ...

study:
  name: NAME
  question: How does the loss fall with parameters and tokens?
  blocks:                           # each a list of runs; every key below grid is an axis
    ladder:
      role: fit                     # the laws are fitted to these
      grid: {model: {width: [16, 32, 48, 64, 80]}, tokens: [262_144, 524_288, 1_048_576]}
    seeds:
      role: fit                     # how much a loss varies by chance
      grid: {model: {width: [16]}, tokens: [262_144, 1_048_576], seed: [1, 2]}
    larger:
      role: held_out                # predicted first, then compared with what was measured
      grid: {model: {width: [112]}, tokens: [1_048_576]}
  answer:
    law: chinchilla                 # loss = E + A / N^alpha + B / D^beta; `scaling parts kind=law`
    budgets: [1e11, 1e12]           # FLOPs whose best split into N and D is wanted

# Any key of conf/ may be set for all runs here, or for the runs of a block below its `base`.
# data: {options: {path: corpus, pattern: "*.txt"}}    # with `override /data: text` above
# optimizer: {lr: 0.01}             # default: by conf/rule/lr
# schedule: {cooldown_fraction: 0.2}
# batch: 16                         # sequences of model.context tokens a step
# launch: {workers: 2}              # on this machine; launch=slurm on a cluster
"""


def study_template(name: str) -> str:
    """The file of a study of that name: YAML with comments."""
    return _TEMPLATE.replace("NAME", name)
