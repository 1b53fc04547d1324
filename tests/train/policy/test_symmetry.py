import torch
from tensordict import TensorDict

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.policy.symmetry import SagittalMirror, append_mirrored

SPEC = load_robot_spec("anymal_d")
MIRROR = SagittalMirror(SPEC)
# Legs in the policy's order: LF, LH, RF, RH.
SWAPPED = [2, 3, 0, 1]


def test_a_mirrored_mirror_is_the_original() -> None:
    observation = torch.randn(5, 48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(MIRROR.observation(MIRROR.observation(observation)), observation)


def test_hip_abduction_changes_side_and_sign_and_other_joints_change_side_only() -> None:
    action = torch.arange(1.0, 13.0)
    expected = [-action[i] for i in SWAPPED]
    expected += [action[4 + i] for i in SWAPPED] + [action[8 + i] for i in SWAPPED]
    assert MIRROR.action(action).tolist() == [float(value) for value in expected]


def test_velocities_gravity_and_command_mirror_as_vectors_do() -> None:
    observation = torch.zeros(48)
    observation[:12] = torch.arange(1.0, 13.0)
    # v = (1, 2, 3), w = (4, 5, 6), g = (7, 8, 9), command = (vx 10, vy 11, wz 12).
    expected = [1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0, 9.0, 10.0, -11.0, -12.0]
    assert MIRROR.observation(observation)[:12].tolist() == expected


def test_mirror_images_follow_their_originals() -> None:
    class Env:
        mirror = MIRROR

    observation = TensorDict({"policy": torch.randn(3, 48)}, batch_size=[3])
    both, actions = append_mirrored(Env(), observation, torch.randn(3, 12))  # type: ignore[arg-type]
    assert both is not None
    assert actions is not None
    torch.testing.assert_close(both["policy"][3:], MIRROR.observation(observation["policy"]))
    torch.testing.assert_close(actions[3:], MIRROR.action(actions[:3]))
