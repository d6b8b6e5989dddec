"""What arms differ in, in words."""

from scalinglab.analysis.arms.settings import _belongs, _meant, _shares_text
from scalinglab.scaling.schedule.pieces import Piece


def test_shares_of_pools_are_words_and_belong_to_the_arm_of_that_name():
    constant = {
        "web": [Piece("constant", 8, 0.75, 0.75)],
        "code": [Piece("constant", 8, 0.25, 0.25)],
    }
    assert _shares_text(constant) == "code 0.25, web 0.75"
    moved = {"web": [Piece("constant", 4, 1.0, 1.0), Piece("linear", 4, 1.0, 0.5)]}
    assert _shares_text(moved) == "web: constant 4 steps 1 to 1, linear 4 steps 1 to 0.5"
    assert _belongs("data.mixture", _meant("mixture", ["data.mixture", "seed"]))
