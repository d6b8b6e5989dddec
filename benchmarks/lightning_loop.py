"""Lightning's own loop: automatic optimization, without logs, checkpoints or a progress bar."""

from __future__ import annotations

import logging
import time

import lightning
import numpy as np
import torch
from loops import ADAMW, Loop, adamw, as_loaded
from torch import Tensor, nn

for _name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(_name).setLevel(logging.ERROR)

UNTIMED = 2  # first batches of a fit, not timed


class Automatic(lightning.LightningModule):
    """A module as in Lightning's guide; its clock starts after some batches."""

    def __init__(self, loss_of: nn.Module, batches: int) -> None:
        super().__init__()
        self.loss_of, self.batches, self.losses, self.at = loss_of, batches, [], {}

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        loss = self.loss_of(batch)
        self.losses.append(loss.detach().clone())
        return loss

    def on_train_batch_end(self, outputs: object, batch: Tensor, index: int) -> None:
        if index + 1 in (UNTIMED, self.batches):
            self.losses[-1].item()  # waits for the device
            self.at[index + 1] = time.perf_counter()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw(self.loss_of)


def automatic(loss_of: nn.Module, device: str) -> Loop:
    """Each turn is one fit; its first batches are counted as long as the others."""

    def run(tokens: np.ndarray) -> tuple[float, np.ndarray]:
        steps = len(tokens)
        module = Automatic(loss_of, steps)
        trainer = lightning.Trainer(
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=1,
            max_epochs=1,
            barebones=True,
            gradient_clip_val=ADAMW.clip,
        )
        batches = torch.utils.data.DataLoader(as_loaded(tokens), batch_size=None)
        trainer.fit(module, batches)
        seconds = (module.at[steps] - module.at[UNTIMED]) * steps / (steps - UNTIMED)
        return seconds, torch.stack(module.losses)[:, None].cpu().numpy()

    return run
