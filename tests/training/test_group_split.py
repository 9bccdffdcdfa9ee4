import random
from collections import Counter, defaultdict

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inspector.training.group_split import VAL_SHARE, split_groups

Members = list[tuple[str, str]]
members = st.lists(
    st.tuples(st.integers(0, 30).map(lambda n: f"part-{n}"), st.sampled_from(["ok", "dent", "rust"])), min_size=1, max_size=80
)
seeds = st.integers(0, 5)


def groups_of(pictures: Members) -> dict[str, set[str]]:
    found = defaultdict[str, set[str]](set)
    for group, label in pictures:
        found[label].add(group)
    return found


def has_giant(pictures: Members) -> dict[str, str | None]:
    """Return for each label the group that holds more than half of its pictures."""
    giants: dict[str, str | None] = {}
    for label in groups_of(pictures):
        count = Counter(group for group, other in pictures if other == label)
        group, most = count.most_common(1)[0]
        giants[label] = group if 2 * most > count.total() else None
    return giants


@given(members, seeds)
def test_every_group_stands_on_exactly_one_side(pictures: Members, seed: int) -> None:
    sides = split_groups(pictures, seed)
    assert sides.keys() == {group for group, _ in pictures}
    assert set(sides.values()) <= {"train", "val"}


@given(members, seeds)
def test_every_label_keeps_a_group_to_learn_from(pictures: Members, seed: int) -> None:
    sides = split_groups(pictures, seed)
    assert all(any(sides[group] == "train" for group in groups) for groups in groups_of(pictures).values())


@given(members, seeds, st.randoms(use_true_random=False))
def test_the_order_of_pictures_changes_nothing(pictures: Members, seed: int, order: random.Random) -> None:
    shuffled = pictures.copy()
    order.shuffle(shuffled)
    assert split_groups(shuffled, seed) == split_groups(pictures, seed)


@given(members, seeds, st.data())
def test_a_picture_added_to_a_group_moves_no_group(pictures: Members, seed: int, data: st.DataObject) -> None:
    grown = [*pictures, data.draw(st.sampled_from(pictures))]
    assume(has_giant(grown) == has_giant(pictures))
    assert split_groups(grown, seed) == split_groups(pictures, seed)


@settings(max_examples=30)
@given(st.integers(10, 120), st.integers(0, 1000))
def test_about_a_fifth_of_each_labels_groups_is_checked_with(parts: int, seed: int) -> None:
    pictures = [(f"{label}-{part}", label) for label in ("ok", "dent") for part in range(parts)]
    sides = split_groups(pictures, seed)
    for groups in groups_of(pictures).values():
        assert sum(sides[group] == "val" for group in groups) == round(VAL_SHARE * parts)


def test_a_group_that_holds_most_of_a_label_is_learnt_from() -> None:
    pictures = [("giant", "ok")] * 50 + [("small", "ok")] * 3
    assert all(split_groups(pictures, seed) == {"giant": "train", "small": "val"} for seed in range(20))


def test_another_seed_gives_another_choice() -> None:
    pictures = [(f"part-{part}", "ok") for part in range(50)]
    assert len({tuple(sorted(split_groups(pictures, seed).items())) for seed in range(5)}) == 5


def test_a_label_of_one_part_is_learnt_from() -> None:
    assert split_groups([("only", "rust"), ("a", "ok"), ("b", "ok")], 1)["only"] == "train"
