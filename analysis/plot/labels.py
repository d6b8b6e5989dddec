"""Labels of axes, with quantity and unit, numbers on them, and names of arms as they are."""

from __future__ import annotations

from scalinglab.analysis.tables.powers import power
from scalinglab.scaling.text.printable import one_line

COMPUTE = "training compute C = 6 N D (FLOPs)"
LOSS = "validation loss (nats/token)"
# The one sign of errors: in tables, sentences and figures of predictions.
ERROR = "predicted / measured − 1"
RATE = "learning rate"
SIZE = "model size N (parameters)"
STEP = "training step"
TOKENS = "training tokens D"
RATIO = "tokens per parameter D/N"
_LONGEST = 34  # characters of a vertical label with the names of arms, as its axis is high
# Inputs of laws -> the label of their axis; others are labelled by what the law says they hold.
INPUTS = {"N": SIZE, "D": TOKENS, "C": COMPUTE}


def literal(name: object) -> str:
    r"""A text that matplotlib shows as it is: no formula between dollars, and never left out.

    >>> literal("$x_1$")
    '\\$x_1\\$'
    """
    text = one_line(str(name)).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text  # a legend leaves out what begins so


def decimal(value: float, digits: int = 3) -> str:
    """A number of everyday size in digits, others as a power; with a true minus sign.

    >>> decimal(0.012), decimal(1000), decimal(3e-4)
    ('0.012', '1,000', '3·10⁻⁴')
    """
    size = abs(value)
    if size and not 0.001 <= size < 1e4:
        text = power(size)
    else:
        text = f"{size:,.0f}" if size >= 1000 else f"{size:.{digits}g}"
    return f"−{text}" if value < 0 else text


def of_arms(arms: tuple[str, str], *labels: str) -> str:
    """The first label that is not too long with the names of two arms in it; else the last.

    >>> of_arms(("relu", "gelu"), "loss of {B} against {A} (%)", "loss against {A} (%)")
    'loss of gelu against relu (%)'
    """
    # A line of a label ends between words, and never within a name.
    a, b = (literal(arm).replace(" ", "\N{NO-BREAK SPACE}") for arm in arms)
    texts = [label.format(A=a, B=b) for label in labels]
    return next((text for text in texts if len(text) <= _LONGEST), texts[-1])


def budget_in_words(target: object) -> str:
    """A question as a label: ``N at C=1e+13`` with its quantity and unit.

    >>> budget_in_words("N at C=1e+13")
    'best N at C = 10¹³ FLOPs (parameters)'
    """
    quantity_name, _, place = str(target).partition(" at C=")
    quantity = {
        "N": ("best N", "parameters"),
        "D": ("best D", "tokens"),
        "loss": ("least loss", "nats/token"),
    }.get(quantity_name)
    try:
        cost = power(float(place))
    except ValueError:
        quantity = None
    if quantity is None:
        return literal(target)
    return f"{quantity[0]} at C = {cost} FLOPs ({quantity[1]})"
