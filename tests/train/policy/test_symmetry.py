import torch
from tensordict import TensorDict

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.observation_torch import build_observation
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


def test_a_humanoid_under_mirrored_actions_moves_as_its_mirror_image() -> None:
    spec = load_robot_spec("g1")
    mirror, columns = SagittalMirror(spec), TransitionColumns.of(spec)
    generator = torch.Generator().manual_seed(0)
    with RobotBatch(spec, 2, seed=0, threads=1) as batch:
        for _ in range(15):
            action = 0.5 * torch.randn(29, generator=generator)
            outcome = batch.step(torch.stack([action, mirror.action(action)]).numpy())
    command = torch.zeros(2, 3)
    seen = build_observation(
        columns, torch.from_numpy(outcome.state).float(), command, torch.zeros(2, 29)
    )
    # Its bodies are mirror images up to the decimals of the published file.
    torch.testing.assert_close(mirror.observation(seen[0]), seen[1], rtol=0.02, atol=0.05)
    joint_rad = seen[:, 12:41]
    assert (joint_rad[0] - joint_rad[1]).abs().max() > 0.1, "or nothing was mirrored"
    images = [
        spec.extension_names.index(spec.symmetry.left_right[n]) for n in spec.extension_names
    ]
    extension = torch.from_numpy(outcome.extension)
    torch.testing.assert_close(extension[0, images], extension[1], rtol=0.02, atol=0.01)
