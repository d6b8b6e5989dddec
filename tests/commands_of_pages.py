"""The commands that README, docs and examples show, as a reader would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    ROOT / name
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "benchmarks/*.md",
        "docs/**/*.md",
        "examples/*/*.md",
    )
    for name in ROOT.glob(pattern)
)
_PROGRAM = re.compile(
    r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:(?:\.venv/bin/)?"
    r"(?:scaling|make|pip|python3?|cd|mkdir|git|lm_eval|torchrun|srun|sbatch|wandb|eval|for) \S"
    r"|\. \.venv)"
)
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.DOTALL)
_SHELL = ("", "sh", "bash", "shell", "console", "text")


@dataclass(frozen=True)
class Block:
    """Commands that stand together on a page.

    Attributes
    ----------
    page : str
        Its path in the repository.
    line : int
        Of the first command.
    commands : tuple of list of str
        The words of each.
    not_run : str
        Why a reader's machine is needed; the page says it in a comment before the block.
    """

    page: str
    line: int
    commands: tuple[list[str], ...]
    not_run: str = ""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that hold commands, in their order."""
    text = page.read_text(encoding="utf-8")
    named = str(page.relative_to(ROOT))
    result = []
    for start, code in _code(text):
        if commands := tuple(_commands(code)):
            why = _NOT_RUN.search(text[:start])
            line = text[:start].count("\n") + 1
            result.append(Block(named, line, commands, why[1] if why else ""))
    return result


def inline(page: Path) -> list[list[str]]:
    """Commands within sentences, if they say more than the name of a verb."""
    text = re.sub(r"^(?:```.*?^```|    .*?$)", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [_words(code) for code in re.findall(r"`(scaling [^`]+)`", text)]


def files(page: Path) -> Iterator[tuple[str, str]]:
    """What a page shows whole of a reader's files: (path, text)."""
    text = page.read_text(encoding="utf-8")
    for code in re.finditer(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        said = text[: code.start()].rstrip().rpartition("\n\n")[2] + code[1]
        named = re.findall(r"scaling_conf/\w+/\w+\.yaml", said)
        study = re.search(r"^study:\n(?:  .*\n)*?  name: (\w+)", code[1], re.MULTILINE)
        if study:
            yield f"scaling_conf/study/{study[1]}.yaml", code[1]
        elif named and "/study/" not in named[-1]:  # else it is a part of one
            yield named[-1], code[1]
    for code in re.finditer(r"^```python\n(# (\w+\.py)\n.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield code[2], code[1]


def _code(text: str) -> Iterator[tuple[int, str]]:
    """Where a block of code begins, and what it holds: in a fence, or four columns to the right."""
    pattern = re.compile(
        r"^```(\w*)\n(.*?)^```$|(?:(?<=\n\n)|\A)((?:    [^\n]*\n|\n(?=    ))+)",
        re.DOTALL | re.MULTILINE,
    )
    for block in pattern.finditer(text):
        if block[3] is not None:
            yield block.start(3), block[3]
        elif block[1] in _SHELL:
            yield block.start(), block[2]


def _commands(code: str) -> Iterator[list[str]]:
    for line in re.sub(r"\\\n\s*", "", code).splitlines():
        if _PROGRAM.match(line.strip()):
            for command in line.strip().removeprefix("$ ").split(" && "):
                yield _words(command)


def _words(command: str) -> list[str]:
    return shlex.split(command, comments=True)
