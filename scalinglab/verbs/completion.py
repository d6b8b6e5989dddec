"""``scaling completion``: the script with which a shell completes the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.completion import SHELLS, script
from scalinglab.options import Options, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class CompletionOptions(Options):
    """Options of ``scaling completion``."""

    shells: list[str] = option(
        f"one of {', '.join(SHELLS)}, also without shells=", [], among=SHELLS, bare=True
    )


@dataclass(frozen=True)
class Completion:
    """A shell's script."""

    shell: str
    text: str

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The script as one text."""
        return vars(self)

    def show(self, screen: Screen) -> None:
        """The script as it is."""
        screen.write(self.text)


def run(options: CompletionOptions, screen: Screen) -> Completion:
    """Print what a shell reads to complete verbs, keys and names of studies and groups.

    bash: eval "$(scaling completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit;
    fish: scaling completion fish > ~/.config/fish/completions/scaling.fish.
    """
    if len(options.shells) != 1 or options.shells[0] not in SHELLS:
        names = ", ".join(options.shells) or "none"
        raise ConfigError(f"expected one shell of {', '.join(SHELLS)}; got {names}")
    (shell,) = options.shells
    return Completion(shell, script(shell))


VERB = Verb(
    "print what a shell reads to complete the command",
    "scaling completion bash|zsh|fish",
    run,
    CompletionOptions,
)
