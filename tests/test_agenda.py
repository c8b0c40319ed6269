"""The order of work: what is ready, what comes first, what waits, what a failure takes with it. Stages without content, no clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmark.agenda import Agenda
from benchmark.stages import Stage


def stage(name: str, parent: Stage | None = None, seed: int = 0) -> Stage:
    config = {"name": name, "seed": seed}
    return Stage("train" if parent is None else "predict", config, config, {}, "m", parent)


def name(found: Stage | None) -> str | None:
    return None if found is None else found.config["name"]


def drained(agenda: Agenda) -> list[str]:
    order = []
    while (found := agenda.next()) is not None:
        order.append(found.config["name"])
        agenda.done(found)
    return order


def test_seed_by_seed_and_the_longest_remaining_path_first():
    seconds = {"short": 1.0, "long": 5.0, "middle": 2.0, "after middle": 4.0, "other seed": 99.0}
    middle = stage("middle")
    stages = [stage("short"), stage("long"), middle, stage("after middle", middle), stage("other seed", seed=1)]
    agenda = Agenda(stages, lambda each: seconds[each.config["name"]])
    assert [name(agenda.next()) for _ in range(4)] == ["middle", "long", "short", "other seed"]
    assert agenda.next() is None  # the one after the middle waits for it
    assert not agenda.is_empty


def test_what_rests_on_something_finished_comes_first_on_the_worker_that_holds_it():
    one, two = stage("one"), stage("two")
    agenda = Agenda([one, two, stage("after one", one), stage("after two", two), stage("three")], lambda _: 1.0)
    taken = {name(agenda.next()): None, name(agenda.next()): None}
    assert set(taken) == {"one", "two"}
    agenda.done(one)
    agenda.done(two)
    assert name(agenda.next(two.key)) == "after two"
    assert name(agenda.next()) == "after one"
    assert name(agenda.next()) == "three"


def test_a_failure_takes_all_that_rests_on_it():
    first = stage("first")
    second = stage("second", first)
    agenda = Agenda([first, second, stage("third", second), stage("apart")], lambda _: 1.0)
    assert agenda.next() is first
    agenda.fail(first)
    assert drained(agenda) == ["apart"]
    assert agenda.is_empty


def test_stages_elsewhere_wait_until_they_are_recalled():
    one = stage("one")
    agenda = Agenda([one], lambda _: 1.0)
    assert agenda.next() is one
    agenda.elsewhere(one)
    assert (agenda.next(), agenda.num_elsewhere, agenda.is_empty) == (None, 1, False)
    agenda.recall()
    assert agenda.next() is one


def test_what_is_opened_again_comes_again_with_what_rests_on_it():
    first = stage("first")
    second = stage("second", first)
    agenda = Agenda([first, second], lambda _: 1.0)
    agenda.next()
    agenda.done(first)
    assert agenda.next() is second
    agenda.open(first)  # its arrays turned out damaged
    agenda.open(second)
    assert drained(agenda) == ["first", "second"]


def test_whether_a_parent_is_still_needed():
    first = stage("first")
    children = [stage(f"child {i}", first) for i in range(2)]
    agenda = Agenda([first, *children], lambda _: 1.0)
    agenda.next()
    agenda.done(first)
    assert agenda.is_needed(first.key)
    assert agenda.is_needed(first.key, besides=children[0].key)
    agenda.done(children[1])
    assert not agenda.is_needed(first.key, besides=children[0].key)


@given(st.lists(st.tuples(st.integers(-1, 6), st.integers(0, 2)), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_every_stage_comes_once_and_after_its_parent(shape, random):
    """Any forest, several workers that end in any order."""
    stages: list[Stage] = []
    for number, (parent, seed) in enumerate(shape):
        stages.append(stage(str(number), stages[parent] if 0 <= parent < number else None, seed))
    agenda = Agenda(stages, lambda each: float(len(each.config["name"])))
    at_work: list[Stage] = []
    done: list[str] = []
    while not agenda.is_empty:
        found = agenda.next() if len(at_work) < 3 else None
        if found is not None:
            assert found.parent is None or found.parent.config["name"] in done
            at_work.append(found)
            continue
        ended = at_work.pop(random.randrange(len(at_work)))
        done.append(ended.config["name"])
        agenda.done(ended)
    assert sorted(done, key=int) == [str(number) for number in range(len(shape))]
