"""A program of somebody else: leaves a curve, or fails if its options say so."""

import json
import sys
from pathlib import Path

config = json.loads(Path(sys.argv[1]).read_text())
folder = Path(config["folder"])
if config["options"].get("fails"):
    sys.exit("RuntimeError: as it was asked to")
rows = [f"{step},{2.0 - 0.01 * step}" for step in range(1, config["steps"] + 1)]
(folder / "curve.csv").write_text("\n".join(["step,loss", *rows]) + "\n")
(folder / "final.json").write_text(json.dumps({"validation_loss": 1.5}))
