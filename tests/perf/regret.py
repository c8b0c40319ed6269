"""The execution profile that is chosen against the best candidate: chosen by one measurement, judged by a second one."""

from __future__ import annotations

from paired import machine, report

from benchmark import registry
from benchmark.execution import candidate_executions, choose, measure
from benchmark.recipe import Recipe
from benchmark.stages import Stage
from benchmark.tasks import Slot

KINDS = (("lenet5", (1, 28, 28), 32), ("lenet5", (1, 28, 28), 64), ("lenet5", (1, 28, 28), 128), ("small-cnn", (3, 32, 32), 64))


def stage(name: str, shape: tuple[int, int, int], batch: int) -> Stage:
    """A training on random images."""
    model = registry.build("models", name)
    recipe = registry.plain(registry.build_fields(Recipe, {"batch": batch}, what="recipe"))
    config = {"model": model.doc, "recipe": recipe, "image_shape": shape, "class_counts": (1,) * 10, "steps": 1, "seed": 0}
    return Stage("train", config, {"model": model.science, "seed": 0}, {}, "bench")


def regret(name: str, shape: tuple[int, int, int], batch: int) -> dict[str, object]:
    slot = Slot("bench", "cpu", 1)
    some = candidate_executions(slot, 0.0)
    chosen = choose(measure(stage(name, shape, batch), slot, some), "float32", 0.0, name).execution
    again = {each["execution"]["channels_last"]: each["seconds_per_step"] for each in measure(stage(name, shape, batch), slot, some)}
    ratio = again[chosen.channels_last] / min(again.values())
    return {"name": f"{name} {shape} batch {batch}", "chosen": chosen.words, "seconds_per_step": list(again.values()), "ratio": ratio}


if __name__ == "__main__":
    report(*({**regret(*kind), **machine()} for kind in KINDS))
