"""Scripts that robots act by."""

import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.reference.behaviours import BEHAVIOURS, SQUAT_DEPTH, find_behaviour

SEEN, ROBOTS = torch.randn(3, 48), torch.tensor([0, 4, 9])


@pytest.mark.parametrize("name", ["stand", "random"])
def test_the_default_pose_is_action_zero(spec, name: str) -> None:
    act = find_behaviour(name).make(spec, 10, 0)
    assert act(SEEN, ROBOTS, 1.0).tolist() == [[0.0] * 12] * 3


def test_only_random_strays_from_the_default_pose() -> None:
    assert {name: entry.action_noise for name, entry in BEHAVIOURS.items()} == {
        "stand": (0.0,),
        "random": (1.0,),
        "squat": (0.0,),
    }


def test_squatting_folds_each_leg_with_its_foot_under_the_hip(spec) -> None:
    act = find_behaviour("squat").make(spec, 10, 0)
    actions = torch.stack([act(SEEN, ROBOTS, 0.02 * step) for step in range(500)])
    haa, hfe, kfe = actions[..., :4], actions[..., 4:8], actions[..., 8:]
    assert not haa.any()
    # Default HFE 0.4, KFE -0.8: twice the angle, the other way.
    torch.testing.assert_close(kfe, -2.0 * hfe)
    share = (spec.action_scale[8] * actions[..., 8] / spec.default_position_rad[8]).abs().amax(0)
    assert (share >= SQUAT_DEPTH[0] - 0.01).all()
    assert (share <= SQUAT_DEPTH[1]).all()


def test_every_robot_squats_its_own_way_and_equal_seeds_alike(spec) -> None:
    one, same, other = (find_behaviour("squat").make(spec, 10, seed) for seed in (1, 1, 2))
    actions = one(SEEN, ROBOTS, 0.5)
    assert len({tuple(row) for row in actions.tolist()}) == 3
    torch.testing.assert_close(same(SEEN, ROBOTS, 0.5), actions)
    assert not torch.allclose(other(SEEN, ROBOTS, 0.5), actions)
    torch.testing.assert_close(one(SEEN[:1], ROBOTS[1:2], 0.5), actions[1:2])


def test_an_unknown_behaviour_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no behaviour 'sqat'.*Did you mean 'squat'"):
        find_behaviour("sqat")
