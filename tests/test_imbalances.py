"""Imbalances: published counts, properties, and requests that cannot be met."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.registry import build, names

MNIST = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
SHUFFLED = (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)
CLOTHES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot")
BUDA = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


def classes(available: int | tuple[int, ...] = 6000, *, named: tuple[str, ...] = CLOTHES) -> Classes:
    counts = (available,) * len(named) if isinstance(available, int) else available
    return Classes(named, counts, SHUFFLED if len(named) == 10 else tuple(range(len(named))))


def few(num: int, available: int = 100) -> Classes:
    return Classes(tuple(f"class-{label}" for label in range(num)), (available,) * num, tuple(range(num)))


def kept(name: str, given_classes: Classes | None = None, /, **parameters: Any) -> tuple[int, ...]:
    return cast(Imbalance, build("imbalances", {name: parameters})).counts(given_classes or classes())


def test_all_imbalances_of_the_suite_language_exist() -> None:
    assert names("imbalances") == ["counts", "drop", "exponential", "keep-fraction", "linear", "none", "remove", "step"]


def test_none_keeps_everything() -> None:
    assert kept("none", classes(MNIST)) == MNIST


@pytest.mark.parametrize(
    ("n_max", "ratio", "counts", "total"),
    [
        (5000, 10, "5000 3871 2997 2320 1796 1391 1077 834 645 500", 20_431),
        (5000, 50, "5000 3237 2096 1357 878 568 368 238 154 100", 13_996),
        (5000, 100, "5000 2997 1796 1077 645 387 232 139 83 50", 12_406),
        (5000, 200, "5000 2775 1540 854 474 263 146 81 45 25", 11_203),
        (6000, 10, "6000 4645 3596 2784 2156 1669 1292 1000 774 600", 24_516),
        (6000, 50, "6000 3884 2515 1628 1054 682 442 286 185 120", 16_796),
        (6000, 100, "6000 3596 2156 1292 774 464 278 166 100 60", 14_886),
        (6000, 200, "6000 3330 1848 1025 569 316 175 97 54 30", 13_444),
    ],
)
def test_exponential_counts_are_the_published_ones(n_max: int, ratio: float, counts: str, total: int) -> None:
    found = kept("exponential", classes(n_max), ratio=ratio)

    assert found == tuple(map(int, counts.split()))
    assert sum(found) == total


@pytest.mark.parametrize(("ratio", "total"), [(10, 19_573), (50, 12_608), (100, 10_847)])
def test_exponential_totals_of_cifar100_are_the_published_ones(ratio: float, total: int) -> None:
    assert sum(kept("exponential", few(100, 500), ratio=ratio)) == total


@pytest.mark.parametrize(
    ("ratio", "counts", "total"),
    [
        (2, "5000 4722 4444 4167 3889 3611 3333 3056 2778 2500", 37_500),
        (10, "5000 4500 4000 3500 3000 2500 2000 1500 1000 500", 27_500),
        (20, "5000 4472 3944 3417 2889 2361 1833 1306 778 250", 26_250),
        (50, "5000 4456 3911 3367 2822 2278 1733 1189 644 100", 25_500),
        (100, "5000 4450 3900 3350 2800 2250 1700 1150 600 50", 25_250),
        (5000, "5000 4445 3889 3334 2778 2223 1667 1112 556 1", 25_005),
    ],
)
def test_linear_counts_are_those_of_buda(ratio: float, counts: str, total: int) -> None:
    found = kept("linear", ratio=ratio, n_max=5000)

    assert found[::-1] == tuple(map(int, counts.split()))
    assert sum(found) == total


@pytest.mark.parametrize(
    ("ratio", "totals"),
    [
        (2, (45_000, 37_500, 30_000)),
        (10, (41_000, 27_500, 14_000)),
        (20, (40_500, 26_250, 12_000)),
        (50, (40_200, 25_500, 10_800)),
        (100, (40_100, 25_250, 10_400)),
        (5000, (40_002, 25_005, 10_008)),
    ],
)
def test_step_totals_are_those_of_buda(ratio: float, totals: tuple[int, ...]) -> None:
    found = tuple(sum(kept("step", classes(MNIST), ratio=ratio, minority=share, n_max=5000)) for share in (0.2, 0.5, 0.8))

    assert found == totals


@pytest.mark.parametrize(("ratio", "rare"), [(2, 2500), (10, 500), (20, 250), (50, 100), (100, 50), (5000, 1)])
def test_minority_counts_are_those_of_buda(ratio: float, rare: int) -> None:
    assert kept("step", classes(MNIST), ratio=ratio, minority=0.5, n_max=5000) == (rare,) * 5 + (5000,) * 5


@pytest.mark.parametrize("ratio", [*BUDA, 2, 20])
def test_linear_counts_follow_the_digests_formula(ratio: float) -> None:
    expected = tuple(round(5000 - (5000 - 5000 / ratio) * rank / 9) for rank in range(10))

    assert kept("linear", ratio=ratio, n_max=5000)[::-1] == expected


@pytest.mark.parametrize(("ratio", "share", "total"), [(10, 0.1, 910_000), (50, 0.8, 216_000), (100, 0.9, 109_000)])
def test_step_totals_of_imagenet_are_those_of_buda(ratio: float, share: float, total: int) -> None:
    assert sum(kept("step", few(1000, 1300), ratio=ratio, minority=share, n_max=1000)) == total


def test_the_two_examples_of_buda_figure_1_have_one_total() -> None:
    totals = {sum(kept("step", ratio=ratio, minority=share, n_max=5000)) for ratio, share in ((10, 0.5), (2, 0.9))}

    assert totals == {27_500}


SOME_SMALL = (6000, 900, 6000, 6000, 732, 6000, 6000, 6000, 950, 6000)
"""Classes 1, 4 and 8 fall short of 1000; of those SHUFFLED has 1 before 4 before 8."""


@pytest.mark.parametrize(
    ("share", "rare"), [(0.3, {1, 4, 8}), (0.4, {1, 4, 8, 3}), (0.5, {1, 4, 8, 3, 0}), (0.9, {0, 1, 2, 3, 4, 5, 6, 8, 9})]
)
def test_small_first_makes_small_classes_rare_and_then_random_ones(share: float, rare: set[int]) -> None:
    found = kept("step", classes(SOME_SMALL), ratio=10, minority=share, classes="small-first", n_max=1000)

    assert found == tuple(100 if label in rare else 1000 for label in range(10))


def test_small_first_without_small_classes_is_random() -> None:
    asked = {"ratio": 10, "minority": 0.3, "n_max": 1000}

    assert kept("step", classes="small-first", **asked) == kept("step", classes="random", **asked)


def test_small_first_refuses_more_small_classes_than_rare_ones_and_a_class_too_small_even_for_a_rare_one() -> None:
    asked = {"minority": 0.2, "n_max": 1000, "classes": "small-first"}
    words = r"3 classes have fewer than n_max = 1000 images \('Coat' has 732\).*minority 0.2 of 10 classes makes 2 rare"
    with pytest.raises(InvalidValue, match=words):
        kept("step", classes(SOME_SMALL), ratio=10, **asked)
    with pytest.raises(InvalidValue, match=r"'Coat' \(label 4\) would keep 800 images and has 732"):
        kept("step", classes(SOME_SMALL), ratio=1.25, **{**asked, "minority": 0.3})


@pytest.mark.parametrize("ratio", BUDA)
def test_linear_and_half_step_have_the_same_total_at_every_ratio_of_buda(ratio: float) -> None:
    assert sum(kept("linear", ratio=ratio, n_max=5000)) == sum(kept("step", ratio=ratio, minority=0.5, n_max=5000))


def test_step_lowest_is_the_default_and_highest_and_random_choose_others() -> None:
    rare, full = 60, 6000

    assert kept("step", ratio=100, minority=0.3) == (rare,) * 3 + (full,) * 7
    assert kept("step", ratio=100, minority=0.3, classes="highest") == (full,) * 7 + (rare,) * 3
    random = kept("step", ratio=100, minority=0.3, classes="random")
    assert {label for label, count in enumerate(random) if count == rare} == set(SHUFFLED[:3])


def test_step_takes_a_list_of_names_and_labels_without_a_fraction() -> None:
    by_name = kept("step", ratio=10, classes=["Dress", 4])

    assert by_name == (6000, 6000, 6000, 600, 600, 6000, 6000, 6000, 6000, 6000)
    assert by_name == kept("step", ratio=10, minority=0.2, classes=["3", "Coat"])


@pytest.mark.parametrize(
    ("share", "num_classes", "rare"), [(0.25, 10, 3), (0.24, 10, 2), (0.01, 10, 1), (0.5, 3, 2), (0.5, 2, 1), (0.15, 10, 2)]
)
def test_the_number_of_rare_classes_is_rounded_half_up_and_at_least_one(share: float, num_classes: int, rare: int) -> None:
    assert kept("step", few(num_classes), ratio=10, minority=share).count(10) == rare


def test_the_default_largest_count_makes_the_ratio_exact() -> None:
    found = kept("step", classes(MNIST), ratio=10, minority=0.5)

    assert set(found) == {5421, 542}


def test_a_rounding_error_below_a_whole_number_costs_no_image() -> None:
    assert 1100 / 1.1 < 1000
    assert min(kept("step", few(2, 1100), ratio=1.1, minority=0.5)) == 1000
    assert min(kept("exponential", few(10, 5000), ratio=100)) == 50


def test_a_listed_rare_class_may_have_less_than_n_max() -> None:
    found = kept("step", Classes(("a", "b"), (5000, 800), (1, 0)), ratio=10, classes=["b"], n_max=5000)

    assert found == (5000, 500)


def test_linear_and_exponential_take_a_permutation_from_the_rarest_up() -> None:
    order = list(CLOTHES[::-1])

    assert kept("linear", ratio=10, classes=order) == kept("linear", ratio=10, classes="highest") == kept("linear", ratio=10)[::-1]
    assert kept("exponential", ratio=10, classes="lowest") == kept("exponential", ratio=10)[::-1]


GAMO = [4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40]


def test_counts_go_to_labels_to_a_list_or_to_the_shuffled_order() -> None:
    assert kept("counts", keep=GAMO) == tuple(GAMO)
    assert kept("counts", keep=GAMO, classes=list(CLOTHES[::-1])) == tuple(GAMO[::-1])
    random = kept("counts", keep=GAMO, classes="random")
    assert [random[label] for label in SHUFFLED] == GAMO


def test_drop_takes_the_dissertations_images_away() -> None:
    found = kept("drop", remove={"Dress": 5300, 4: 5500, "5": 5000, "Sneaker": 5450})

    assert found == (6000, 6000, 6000, 700, 500, 1000, 6000, 550, 6000, 6000)
    assert sum(found) == 38_750
    assert kept("drop", remove={0: 6000})[0] == 0


@pytest.mark.parametrize(("share", "count"), [(0.05, 300), (0.1, 600), (0.29, 1740), (0, 0), (1, 6000), ("2.5e-2", 150)])
def test_keep_fraction_truncates(share: float, count: int) -> None:
    assert kept("keep-fraction", fractions={"Bag": share}) == (6000,) * 8 + (count, 6000)


profiles = st.sampled_from(["step", "linear", "exponential"])
orders = st.sampled_from(["lowest", "highest", "random"])
availables = st.lists(st.integers(1, 7000), min_size=2, max_size=12)


def _profile(name: str, ratio: float, order: str) -> Imbalance:
    share = {"minority": 0.5} if name == "step" else {}
    return cast(Imbalance, build("imbalances", {name: {"ratio": ratio, "classes": order, **share}}))


def _shuffled(available: list[int], random: Any) -> Classes:
    labels = list(range(len(available)))
    random.shuffle(labels)
    return Classes(tuple(f"class-{label}" for label in labels), tuple(available), tuple(labels))


@given(profiles, orders, availables, st.lists(st.floats(1, 5000), min_size=2, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_profiles_are_within_what_there_is_and_nested_in_the_ratio(
    name: str, order: str, available: list[int], ratios: list[float], random: Any
) -> None:
    given_classes = _shuffled(available, random)
    usable = sorted(ratio for ratio in ratios if ratio <= min(available))
    found = [_profile(name, ratio, order).counts(given_classes) for ratio in usable]

    for counts in found:
        assert all(0 < count <= there for count, there in zip(counts, available, strict=True))
        assert max(counts) == min(available)
    for milder, harsher in pairwise(found):
        assert all(less <= more for less, more in zip(harsher, milder, strict=True))


@given(profiles, st.floats(1, 100), st.permutations(range(6)))
@settings(max_examples=60, deadline=None)
def test_the_order_of_classes_only_permutes_the_counts(name: str, ratio: float, order: list[int]) -> None:
    given_classes = Classes(tuple("abcdef"), (100,) * 6, tuple(order))
    ordered = _profile(name, ratio, "lowest").counts(given_classes)
    permuted = _profile(name, ratio, "random").counts(given_classes)

    assert [permuted[label] for label in order] == list(ordered)


@given(st.lists(st.floats(0.01, 0.9), min_size=2, max_size=5), orders)
@settings(max_examples=50, deadline=None)
def test_minority_classes_are_nested_in_the_fraction(shares: list[float], order: str) -> None:
    rare = [{label for label, n in enumerate(kept("step", ratio=10, minority=s, classes=order)) if n == 600} for s in sorted(shares)]

    assert all(fewer <= more for fewer, more in pairwise(rare))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("step", {"ratio": 10}, "needs the parameter 'minority'"),
        ("step", {"ratio": 0.5, "minority": 0.5}, "expected at least 1 for 'ratio'"),
        ("step", {"ratio": 10, "minority": 0}, "expected more than 0 for 'minority'"),
        ("step", {"ratio": 10, "minority": 0.99}, "all 10 classes would be rare: at most 9 can be"),
        ("step", {"ratio": 10, "minority": 0.5, "classes": "lowst"}, "Did you mean 'lowest'?"),
        ("step", {"ratio": 10, "minority": 0.5, "classes": "small-first"}, "`classes: small-first` needs `n_max`"),
        ("step", {"ratio": 10, "classes": "small-first", "n_max": 1000}, "needs the parameter 'minority'"),
        ("linear", {"ratio": 10, "classes": "small-first"}, "Known: highest, lowest, random"),
        ("step", {"ratio": 10, "minority": 0.5, "classes": ["Bag"]}, "lists 1 rare classes and minority 0.5 of 10 classes asks for 5"),
        ("step", {"ratio": 10, "classes": list(CLOTHES)}, "all 10 classes would be rare"),
        ("step", {"ratio": 10, "classes": ["Snaeker"]}, "unknown class 'Snaeker'. Did you mean 'Sneaker'?"),
        ("step", {"ratio": 10, "classes": [10]}, "no class has the label 10: the labels are 0 to 9"),
        ("step", {"ratio": 10, "classes": [-1]}, "no class has the label -1"),
        ("step", {"ratio": 10, "classes": [3, "Dress"]}, "'Dress' (label 3) is given twice: as 3 and as 'Dress'"),
        ("step", {"ratio": 10, "classes": [False]}, "found false: YAML reads yes, no, on and off so"),
        ("step", {"ratio": 10, "classes": []}, "found an empty list"),
        ("step", {"ratio": 6001, "minority": 0.5}, "the largest ratio that works is 6000"),
        ("linear", {"ratio": 9000}, "the largest ratio that works is 6000"),
        ("exponential", {"ratio": 101, "n_max": 100}, "the largest ratio that works is 100"),
        ("linear", {"ratio": 10, "n_max": 6001}, "the class 'Boot' (label 9) would keep 6001 images and has 6000"),
        ("linear", {"ratio": 10, "n_max": 6001, "classes": "random"}, "n_max is 6001, and the class 'T-shirt' has 6000 images"),
        (
            "linear",
            {"ratio": 10, "classes": list(CLOTHES[1:])},
            "expected all 10 classes in `classes`, from the rarest up, found 9: T-shirt left out",
        ),
        ("counts", {"keep": [1, 2]}, "expected 10 numbers in `keep`, one a class, found 2"),
        ("counts", {"keep": [7000] + [1] * 9}, "the class 'T-shirt' (label 0) would keep 7000 images and has 6000"),
        ("counts", {"keep": [-1] + [1] * 9}, "expected counts of 0 or more"),
        ("counts", {"keep": [0] * 10}, "at least one of them above 0"),
        ("counts", {"keep": [1] * 10, "classes": "lowest"}, "Known: labels, random"),
        ("drop", {"remove": {"Bag": 6001}}, "6001 images cannot be removed from the class 'Bag' (label 8): it has 6000"),
        ("drop", {"remove": {"Bag": -1}}, "numbers of 0 or more"),
        ("drop", {"remove": {}}, "expected classes"),
        ("drop", {"remove": {True: 5}}, "found true: YAML reads"),
        ("drop", {"remove": dict.fromkeys(CLOTHES, 6000)}, "every class would be empty"),
        ("keep-fraction", {"fractions": {"Bag": 1.5}}, "fractions from 0 to 1"),
        (
            "keep-fraction",
            {"fractions": {"Bag": 0.0001}},
            "leaves no image in the class 'Bag' (label 8) of 6000: at least 0.0002 leaves one",
        ),
    ],
)
def test_a_request_that_cannot_be_met_says_why(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue) as error:
        kept(name, **parameters)

    assert message in str(error.value)


def test_n_max_above_a_class_names_the_class() -> None:
    with pytest.raises(InvalidValue, match=r"'Sandal' \(label 5\) would keep 5500 images and has 5421"):
        kept("exponential", classes(MNIST), ratio=1, n_max=5500)


def test_a_number_that_is_both_a_label_and_another_classs_name_must_be_quoted() -> None:
    folders = Classes(("1", "2", "3"), (100,) * 3, (0, 1, 2))

    assert kept("step", folders, ratio=10, classes=["1"]) == (10, 100, 100)
    assert kept("step", folders, ratio=10, classes=[0]) == (10, 100, 100)
    with pytest.raises(InvalidValue, match="1 is ambiguous: the class named '1' has the label 0, and label 1 is the class '2'"):
        kept("step", folders, ratio=10, classes=[1])


def test_digits_whose_names_are_their_labels_are_not_ambiguous() -> None:
    digits = Classes(tuple(map(str, range(10))), (100,) * 10, SHUFFLED)

    assert kept("drop", digits, remove={3: 50}) == kept("drop", digits, remove={"3": 50})


def test_an_imbalance_needs_two_classes_with_images() -> None:
    with pytest.raises(InvalidValue, match="at least two classes, found 1"):
        kept("linear", few(1), ratio=10)
    with pytest.raises(InvalidValue, match="'b' has no training image"):
        kept("step", Classes(("a", "b"), (10, 0), (0, 1)), ratio=10, minority=0.5)


def test_spelling_of_numbers_and_defaults_does_not_change_what_is_asked() -> None:
    short = build("imbalances", {"linear": {"ratio": "1e2"}})
    spelled = build("imbalances", {"linear": {"n_max": None, "classes": "lowest", "ratio": 100}})

    assert short.text == spelled.text


@pytest.mark.parametrize(("spec", "expected"), [({"drop": {"remove": {0: 5}}}, 5), ({"keep-fraction": {"fractions": {"a": 0.5}}}, 5)])
def test_a_permutation_says_which_class_an_entry_is_for(spec, expected):
    ((name, given),) = spec.items()
    table = Classes(("a", "b", "c"), (10, 10, 10), (2, 0, 1))
    found = {
        str(order): build("imbalances", {name: {**given, "classes": order}}).counts(table)
        for order in ("labels", "random", ["b", "c", "a"])
    }
    assert found == {"labels": (5, 10, 10), "random": (10, 10, 5), "['b', 'c', 'a']": (10, 5, 10)}
