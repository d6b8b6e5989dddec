"""The fingerprint changes with the code that makes the numbers and with nothing else."""

from pathlib import Path

import pytest

from scalinglab import scaling
from scalinglab.scaling.records.fingerprint import FILES, code_fingerprint, significant

SOURCE = '''
"""Module."""
import math

class A:
    """Class."""

    def f(self, x):
        """Function."""
        if x:
            y = "text" + str(x)  # why
            return y
        return math.pi
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# why", "# another reason"),
        ("  # why", ""),
        ('"""Module."""', '"""Another."""'),
        ('        """Function."""\n', ""),
        ('"""Class."""', "'Class'"),
        ("import math\n\n", "import math\n\n\n\n"),
        ("f(self, x)", "f( self,x )"),
        ('"text" + str(x)', '"text" + str(\n                x\n            )'),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(old, new):
    assert old in SOURCE
    assert significant(SOURCE.replace(old, new)) == significant(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"text"', '"other"'),
        ("math.pi", "math.e"),
        ("if x", "if not x"),
        ("f(self, x)", "f(self, x=1)"),
        ("            return y\n", "        return y\n"),  # leaves the if
        ("        return math.pi", "            return math.pi"),  # joins the if
        ("            return y\n", "            return\n            y\n"),  # another statement
        ("            return y\n", "            'a'.join(y)\n            return y\n"),
    ],
)
def test_code_strings_and_nesting_count(old, new):
    assert old in SOURCE
    assert significant(SOURCE.replace(old, new)) != significant(SOURCE)


def test_a_string_that_is_a_value_counts_also_at_the_start_of_a_line():
    assert significant('x = [\n"a",\n]') != significant('x = [\n"b",\n]')


def test_a_string_that_begins_an_expression_counts():
    assert significant("'a'.join(x)") != significant("'b'.join(x)")


def test_f_strings_are_one_token_in_every_python():
    """Python 3.12 began to tokenize what is inside."""
    assert significant("x = f'{a!r:>{w}}' + f'b'  # c") == "x = f'{a!r:>{w}}' + f'b' ;"
    assert significant('x = f"""{\n  a}\n"""') == 'x = f"""{\n  a}\n""" ;'


def test_the_files_exist_and_the_fingerprint_is_short():
    folder = Path(scaling.__file__).parent
    assert all((folder / name).exists() for name in FILES)
    assert len(code_fingerprint()) == 10 and int(code_fingerprint(), 16) >= 0
