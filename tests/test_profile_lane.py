"""Configurations measured alone: once each, by stages that are cut short, without what they would share."""

from __future__ import annotations

import small

from benchmark.execute.measure import STEPS, cut
from benchmark.ledger import Ledger
from benchmark.places import default_folders
from benchmark.profile_lane import Lane, unmeasured
from benchmark.results import SOLO
from benchmark.tasks import FIXED, Slot


def lane(ledger: Ledger, repeats: int = 2) -> Lane:
    return Lane(ledger, default_folders(None), Slot("alone"), lambda _stage, _slot: FIXED, repeats=repeats)


def test_each_configuration_is_measured_once_and_what_has_not_run_is_not(tmp_path):
    cells = small.cells(["none", {"two-phase": {"base": "none"}}], seeds=range(2))
    small.run(tmp_path, cells)
    planned, ledger = small.plan(tmp_path, [*cells, *small.cells(["ros"])])
    with ledger:
        assert [work.cell.config.method.name for work in unmeasured(planned, ledger)] == ["none", "two-phase"]
        told: list[tuple[str, int, int]] = []
        assert lane(ledger).measure(planned, lambda work, number, of: told.append((work.cell.config.method.name, number, of))) == 2
        assert told == [("none", 1, 2), ("two-phase", 2, 2)]
        assert lane(ledger).measure(planned, lambda *_: told.append(("again", 0, 0))) == 0
        notes = ledger.notes(SOLO)
    plain, two_phase = (notes[planned.cells[index].work.key]["figures"] for index in (0, 2))
    assert plain["seconds_low"] <= plain["seconds"] <= plain["seconds_high"]
    assert plain["repeats"] == 2
    assert plain["images_per_second"] > 0
    assert plain["inference_images_per_second"] > 0
    assert plain["parameters"] == two_phase["parameters"] > 0
    assert plain["peak_host_mib"] > 50
    assert {"contended"} <= plain.keys()
    assert notes[planned.cells[0].work.key]["context"]["execution"] == FIXED.words


def test_a_long_training_is_cut_and_charged_in_full():
    (stage,) = _trainings(iterations=10 * STEPS)
    short = cut(stage)
    assert short.config["steps"] == STEPS
    assert short.science_key == stage.science_key  # streams stay as they are


def _trainings(**options):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        planned, ledger = small.plan(Path(folder), small.cells(["none"], **options))
        ledger.close()
    return [stage for stage in planned.stages.values() if stage.op == "train"]
