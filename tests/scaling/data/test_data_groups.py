"""Files of ``conf/data``: a command can give each option of the source, as messages advise."""

from dataclasses import fields

import pytest
import yaml

from scalinglab.compose import SHIPPED
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data_config import DataConfig

GROUPS = sorted(path.stem for path in (SHIPPED / "data").glob("*.yaml") if path.stem != "pools")
# Options that only subclasses have by inheritance, or that a study gives with its source.
UNUSED = {
    "folder": {"text"},
    "python": {"text", "path", "pattern", "encoding", "unreadable", "validation"},
    "installed": {"text", "path", "encoding", "unreadable", "validation"},
    "stdlib": {"validation_share"},
}
OF_POOLS = {"pools", "weights", "mixture"}


def test_each_source_has_a_group():
    assert set(SOURCES) <= set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_each_option_can_be_given(group):
    content = yaml.safe_load((SHIPPED / "data" / f"{group}.yaml").read_text())
    options = {field.name for field in fields(SOURCES.find(group))}
    assert options - set(content["options"]) == UNUSED.get(group, set())
    keys = {field.name for field in fields(DataConfig)} - OF_POOLS
    documents = {"select", "validation_select", "weight", "tokenizer"}
    assert keys - set(content) in (set(), documents)
