"""What a probe says of itself: its options, the name of what it gives, and what makes it another."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import RequestedResult
from scalinglab.scaling.probes.probe import PROBES, check_memory, key_of, probe_of
from scalinglab.scaling.records import machine

NOWHERE = Path("nowhere")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("averag", {}, "probe = 'averag' is not one of: .*did you mean 'average'"),
        ("average", {"number": 3}, "unknown key 'options.number'"),
        ("average", {"count": 1}, r"options.count = 1: allowed is 2 or more"),
        ("average", {"decay": 0.9}, "options.decay"),
        ("quantized", {"bits": 40}, "options.bits = 40: allowed is 2 to 16"),
        (
            "layers",
            {"do": "jump"},
            "options.do = 'jump' is not one of: skip, swap, parallel, remove",
        ),
    ],
)
def test_what_is_not_known_or_allowed_is_refused(name, options, said) -> None:
    with pytest.raises(ConfigError, match=said):
        probe_of(name, options)


def test_columns_name_the_options_that_are_not_usual() -> None:
    assert probe_of("average", {}).column("average", "loss") == "probe.average.loss"
    other = probe_of("average", {"kind": "ema", "count": 4})
    assert other.column("average", "loss") == "probe.average.kind_ema.count_4.loss"
    assert probe_of("rank", {"each": True}).column("rank", "stable") == "probe.rank.each.stable"
    further = probe_of("validation", {"store": "text-ab12"})
    assert further.column("validation", "loss") == "loss.text-ab12"  # as in training
    fewer = probe_of("validation", {"store": "text-ab12", "tokens": 64})
    assert fewer.column("validation", "loss").startswith(
        "probe.validation.store_text-ab12.tokens_64"
    )


def test_a_key_holds_name_options_and_version(monkeypatch) -> None:
    plain = key_of("average", probe_of("average", {}), NOWHERE)
    assert plain == key_of("average", probe_of("average", {"count": 3}), NOWHERE)
    others = {
        key_of("average", probe_of("average", {"count": 4}), NOWHERE),
        key_of("rank", probe_of("rank", {}), NOWHERE),
    }
    monkeypatch.setattr(PROBES["average"], "version", 2)
    others.add(key_of("average", probe_of("average", {}), NOWHERE))
    assert len(others | {plain}) == 4


def test_an_average_reads_the_last_that_are_kept() -> None:
    probe = probe_of("average", {"count": 2})
    assert probe.reads(8, [2, 4, 8]) == [4, 8]
    with pytest.raises(ConfigError, match="only 1 checkpoints are kept up to step 2"):
        probe.reads(2, [2])


def test_a_result_of_other_checkpoints_has_another_file() -> None:
    alone = RequestedResult(8, (("run", 8),)).file("run")
    several = {RequestedResult(8, (("run", s), ("run", 8))).file("run") for s in (2, 4)}
    assert alone == "00000008.json" and len(several) == 2


@pytest.mark.parametrize(
    ("name", "options", "more", "said"),
    [
        ("sharpness", {"steps": 30}, {"steps": 3}, "options.steps = 30"),
        ("linear", {"windows": 16}, {"windows": 2}, "options.windows = 16"),
        ("maps", {"windows": 16}, {"windows": 2}, "options.windows = 16"),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_before_it_starts(
    make_run, monkeypatch, name, options, more, said
) -> None:
    spec = make_run().spec()
    needed, less = (8 * probe_of(name, o).held_floats(spec) for o in (options, more))
    assert 0 < less < needed
    monkeypatch.setattr(machine, "memory_bytes", lambda: (less + needed) / 2)
    check_memory(name, probe_of(name, more), spec)
    with pytest.raises(ConfigError, match=f"probe = '{name}', {said}: for run {spec.run_id}"):
        check_memory(name, probe_of(name, options), spec)
