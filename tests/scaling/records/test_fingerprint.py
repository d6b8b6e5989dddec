"""The fingerprint changes with the code that makes the numbers and with nothing else."""

import pytest

from scalinglab.scaling.records import fingerprint
from scalinglab.scaling.records.fingerprint import (
    CURRENT,
    code_fingerprint,
    files_apart,
    number_making,
    same_numbers,
    significant,
    versions_of_code,
)

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


def test_what_makes_the_numbers_is_found_by_its_imports():
    """What was once a list, and what it lacked: precision, sums over ranks, what optimizers import."""
    files = {path.name for path in number_making()}
    listed = """architecture shape placements module counts part attention mlp layers
        parametrization transformer initialization step_options loss cross_entropy
        rmsnorm layernorm none dense add
        stacked eager captured compiled owned_tensors sharded pieces shares order pools store manifest
        excerpt selection chosen_documents engine adafactor adamp adamw lion
        matrices muon nadamw normalized optimizer schedule_free sgd soap"""
    others = {"arithmetic.py", "dropout.py", "reduction.py", "rehearsal.py"}
    assert files - {f"{name}.py" for name in listed.split()} == others
    assert {f"{name}.py" for name in listed.split()} <= files


def test_an_optimizer_has_both_its_halves_in_it():
    names = [path.name for path in number_making()]
    assert names.count("adamw.py") == names.count("muon.py") == 2


def test_this_code_is_known_by_its_fingerprint():
    now = code_fingerprint()
    assert len(now) == 10 and int(now, 16) >= 0
    assert now == CURRENT, (
        f"the code that makes a run's numbers has changed: its fingerprint is {now}. If every "
        "number stays as it was, run `python -m tests.golden.fingerprint`: it compares all curves "
        "and writes CURRENT. If they change on purpose, write new curves (python -m "
        "tests.golden.write curves) and set CURRENT"
    )


def test_older_code_that_makes_the_same_numbers_is_found_over_several_steps(monkeypatch):
    monkeypatch.setattr(fingerprint, "EQUAL_NUMBERS", {"a": "b", "b": "c"})
    assert [same_numbers(code) for code in "abcd"] == ["c", "c", "c", "d"]


def test_older_text_of_a_shipped_part_may_make_the_same_numbers(monkeypatch):
    monkeypatch.setattr(fingerprint, "EQUAL_NUMBERS", {"a": "b", "moe=1": "moe=2"})
    assert same_numbers("a+mine=1+moe=1") == "b+mine=1+moe=2"
    assert versions_of_code(["a+moe=1", "b+moe=2"]) == []
    assert versions_of_code(["a+moe=1", "b+moe=3"]) == ["moe=2", "moe=3"]


def test_what_a_shipped_part_imports_belongs_to_it():
    part = "scalinglab.scaling.engine.network.feed_forwards.expert_choice"
    alone, reached = files_apart([part]), files_apart([part], imports=True)
    assert [file.name for file in alone] == ["expert_choice.py"]
    assert reached[0] == alone[0] and {"experts.py", "grouped.py"} <= {f.name for f in reached}
