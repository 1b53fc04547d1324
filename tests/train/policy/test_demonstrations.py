from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.policy.demonstrations import CloningSettings, choose_demonstrations
from rwmu_train.transitions.dataset import TransitionDataset

SETTINGS = CloningSettings(best_share=1.0, least_rows=0, horizon_rows=10)


def test_an_observation_is_paired_with_the_action_that_followed_it(small_dataset) -> None:
    chosen = choose_demonstrations(small_dataset, SETTINGS)
    rows = small_dataset.rows
    row = 150 + 7  # in the second episode; 10 rows ahead are left out of the first
    index = (150 - 10) + 7
    np.testing.assert_array_equal(chosen.observation[index, :9], rows[row, :9])
    np.testing.assert_array_equal(chosen.observation[index, 36:48], rows[row, 45:57])
    np.testing.assert_array_equal(chosen.action[index], rows[row + 1, 45:57])
    np.testing.assert_allclose(chosen.observation[index, 9:12], [0.1, 0.0, 0.0], atol=1e-7)


def test_without_commands_the_velocity_then_reached_stands_in(small_dataset) -> None:
    unknown = np.full_like(small_dataset.velocity_command, np.nan)
    chosen = choose_demonstrations(replace(small_dataset, velocity_command=unknown), SETTINGS)
    ahead = small_dataset.rows[1:11]
    expected = [*ahead[:, :2].mean(axis=0), ahead[:, 5].mean()]
    np.testing.assert_allclose(chosen.observation[0, 9:12], expected, atol=1e-6)


def test_the_rows_that_follow_their_commands_best_are_imitated(small_dataset) -> None:
    # Episode 0 commands 0 and the drawn velocities are near 0; episode 5 commands 0.5 m/s.
    best = choose_demonstrations(small_dataset, replace(SETTINGS, best_share=0.2))
    asked = best.observation[:, 9]
    assert asked.mean() < 0.6 * 0.25
    assert 0.15 * 840 < len(asked) < 0.25 * 840


def test_the_best_episodes_are_imitated_whole(small_dataset) -> None:
    settings = replace(SETTINGS, best_share=0.2, best_of="episodes")
    whole = choose_demonstrations(small_dataset, SETTINGS).observation
    best = choose_demonstrations(small_dataset, settings).observation
    # Two of six episodes at most, each with all the rows that have 10 more ahead.
    commands, counts = np.unique(best[:, 9], return_counts=True)
    assert 1 <= len(commands) <= 2
    for command, count in zip(commands, counts, strict=True):
        assert count == (whole[:, 9] == command).sum()
    assert commands[0] == 0.0


def collected_by(dataset: TransitionDataset, *collectors: tuple[str, float]) -> TransitionDataset:
    """Episode i by collector i: its name and its generation."""
    (file,) = dataset.files
    files = tuple(
        replace(file, first_row=first, row_count=end - first, collector=name, generation=made)
        for first, end, (name, made) in zip(
            dataset.episode_start.tolist(), dataset.episode_end.tolist(), collectors, strict=True
        )
    )
    return replace(dataset, files=files)


def commands_imitated(dataset: TransitionDataset, share: float) -> list[float]:
    """vx of the imitated rows; in episode i of the data it is i / 10 m/s."""
    settings = replace(SETTINGS, best_share=share, best_of="collectors")
    chosen = choose_demonstrations(dataset, settings)
    commands, counts = np.unique(chosen.observation[:, 9].numpy(), return_counts=True)
    assert all(count == 140 for count in counts)  # whole
    return [round(float(command), 1) for command in commands]


def test_the_newest_policies_of_a_run_are_imitated_whole(small_dataset) -> None:
    # The later ones follow their commands worse, which rows this few must not decide.
    run = collected_by(small_dataset, *((f"stage {i}", float(i)) for i in range(6)))
    assert commands_imitated(run, 0.1) == [0.5]
    assert commands_imitated(run, 0.3) == [0.4, 0.5]
    assert commands_imitated(run, 1.0) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_of_equally_new_collectors_the_best_are_imitated(small_dataset) -> None:
    bundles = collected_by(small_dataset, *((f"bundle {i}", np.inf) for i in range(6)))
    assert commands_imitated(bundles, 0.1) == [0.0]
    assert commands_imitated(bundles, 0.3) == [0.0, 0.1]


def test_a_policy_without_a_number_counts_as_the_newest(small_dataset) -> None:
    stages = [(f"stage {i}", float(i)) for i in range(5)]
    mixed = collected_by(small_dataset, ("bundle", np.inf), *stages)
    assert commands_imitated(mixed, 0.1) == [0.0]
    assert commands_imitated(mixed, 0.3) == [0.0, 0.5]


def test_files_of_one_collector_belong_together(small_dataset) -> None:
    names = ["a", "b", "b", "c", "c", "a"]
    data = collected_by(small_dataset, *((name, np.inf) for name in names))
    assert commands_imitated(data, 0.1) == [0.1, 0.2]  # b; a's second episode is the worst
    chosen = choose_demonstrations(data, replace(SETTINGS, best_share=0.5, best_of="collectors"))
    assert chosen.collectors == ("a", "b")


def test_a_collector_that_wrote_much_leaves_the_others_their_say(small_dataset) -> None:
    # Half of the rows are of the newest of four; half of four are two.
    names = [("a", 0.0), ("b", 1.0), ("c", 2.0), ("d", 3.0), ("d", 3.0), ("d", 3.0)]
    data = collected_by(small_dataset, *names)
    assert commands_imitated(data, 0.3) == [0.3, 0.4, 0.5]
    assert commands_imitated(data, 0.5) == [0.2, 0.3, 0.4, 0.5]


def test_one_collector_is_imitated_whole_whatever_the_share(small_dataset) -> None:
    assert len(commands_imitated(small_dataset, 0.01)) == 6


def test_without_commands_only_being_upright_counts(small_dataset) -> None:
    unknown = np.full_like(small_dataset.velocity_command, np.nan)
    rows = small_dataset.rows.copy()
    gravity = small_dataset.columns.projected_gravity.slice
    rows[:, gravity] = [0.0, 0.0, -1.0]
    rows[: small_dataset.episode_end[2], gravity] = [0.6, 0.0, -0.8]
    data = replace(small_dataset, rows=rows, velocity_command=unknown)
    chosen = choose_demonstrations(data, replace(SETTINGS, best_share=0.4))
    assert (chosen.observation[:, 6] == 0.0).all()


def test_each_source_of_a_mix_is_imitated_in_its_share(small_dataset) -> None:
    half = int(small_dataset.episode_start[3])
    (file,) = small_dataset.files[:1]
    files = (
        replace(file, first_row=0, row_count=half, source="sim"),
        replace(file, first_row=half, row_count=len(small_dataset.rows) - half, source="real"),
    )
    mixed = replace(small_dataset, files=files, mix={"sim": 0.25, "real": 0.75})
    # All of it alike would be the first episodes, which follow their commands best.
    best = choose_demonstrations(mixed, replace(SETTINGS, best_share=0.3))
    is_real = best.observation[:, 9] > 0.25
    assert is_real.float().mean() == pytest.approx(0.75, abs=0.01)


def test_of_few_rows_more_are_imitated(small_dataset) -> None:
    whole = len(choose_demonstrations(small_dataset, SETTINGS).action)
    settings = replace(SETTINGS, best_share=0.2)
    for least, kept in ((0, 0.2), (whole // 10, 0.2), (whole // 2, 0.5), (10 * whole, 1.0)):
        chosen = choose_demonstrations(small_dataset, replace(settings, least_rows=least))
        assert len(chosen.action) / whole == pytest.approx(kept, abs=0.03)


def test_data_shorter_than_the_horizon_are_refused(small_dataset) -> None:
    with pytest.raises(TransitionFileError, match="no episode has 501 rows"):
        choose_demonstrations(small_dataset, replace(SETTINGS, horizon_rows=500))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share) -> None:
    with pytest.raises(ConfigError, match=r"best_share is .*above 0, up to 1"):
        CloningSettings(best_share=share)
