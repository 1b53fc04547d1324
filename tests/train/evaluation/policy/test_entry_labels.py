"""Labels of policies: short, and never the same for two."""

from rwmu_train.evaluation.policy.entry_labels import entry_labels


def test_the_last_part_is_enough_where_it_tells_folders_apart() -> None:
    keys = [("/a/runs/online", "nominal"), ("/a/runs/online", "field"), ("exports/flat", "field")]
    assert list(entry_labels(keys).values()) == ["online, nominal", "online, field", "flat, field"]


def test_more_parts_are_given_where_folders_end_alike() -> None:
    labels = entry_labels([("/a/seed_0/policy", "nominal"), ("/a/seed_1/policy", "nominal")])
    assert list(labels.values()) == ["seed_0/policy, nominal", "seed_1/policy, nominal"]
    assert len(set(entry_labels([("b", "nominal"), ("a/b", "nominal")]).values())) == 2


def test_the_folder_one_is_in_has_a_label_too() -> None:
    assert entry_labels([(".", "nominal")]) == {(".", "nominal"): "., nominal"}
