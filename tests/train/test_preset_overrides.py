"""Settings by dotted name: types from the dataclasses, and refusals that say what there is."""

import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.preset_overrides import with_overrides
from rwmu_train.presets import OfflinePreset, find_preset


def quick(*texts: str) -> OfflinePreset:
    return with_overrides(find_preset("quick"), texts)


def test_values_take_the_type_of_their_field() -> None:
    preset = quick(
        "world_model.loss=gaussian_nll",
        "world_model.final_learning_rate=none",
        "world_model.learning_rate=2e-4",
        "world_model.members=2",
        "ppo.clip_value_loss=true",
        "ppo.hidden=64,32",
        "timing.command_steps=10,20",
        "normaliser=fitted",
        "cloning=none",
    )
    model = preset.world_model
    assert (model.loss, model.members, model.final_learning_rate) == ("gaussian_nll", 2, None)
    assert model.learning_rate == 2e-4
    assert preset.ppo.clip_value_loss is True
    assert (preset.ppo.hidden, preset.timing.command_steps) == ((64, 32), (10, 20))
    assert (preset.normaliser, preset.cloning) == ("fitted", None)
    assert preset.imagination == find_preset("quick").imagination


def test_settings_of_a_section_change_together() -> None:
    """Neither of these fits the preset alone: 1280 windows in 4 branches."""
    model = quick("world_model.branches=7", "world_model.batch_size=70").world_model
    assert (model.branches, model.batch_size) == (7, 70)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("world_model.lose=mse", "no setting world_model.*'lose'; allowed are iterations, batch"),
        ("wm.loss=mse", "no setting.*'wm'; allowed are world_model, normaliser"),
        ("world_model.loss=l1", "allowed is huber, mse, sampled_mse, gaussian_nll, now it is hub"),
        (
            "world_model.batch_size=3.5",
            "batch_size=3.5; allowed is a whole number, now it is 1280",
        ),
        ("world_model.learning_rate=nan", "learning_rate=nan; allowed is a number"),
        ("world_model.learning_rate=none", "learning_rate=none; allowed is a number"),
        ("world_model.gradient_clip=x", "allowed is a number or none, now it is 1.0"),
        ("ppo.clip_value_loss=1", "allowed is true or false"),
        ("timing.command_steps=1,2,3", "allowed is numbers with commas"),
        ("world_model=paper", "world_model is a section. Set one of world_model.iterations"),
        ("world_model.loss.kind=mse", "world_model.loss is huber, which has no kind"),
        ("noise.extra=3", "allowed is nothing on the command line"),
        ("world_model.loss", "allowed is NAME=VALUE"),
        ("=3", "allowed is NAME=VALUE"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        quick(text)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="each name once"):
        quick("ppo.epochs=1", "ppo.epochs=2")
