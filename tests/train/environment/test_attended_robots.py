"""A demonstrator is told what becomes of the robots, whoever moves them."""

import torch
from scripted_env import make
from torch import Tensor

from rwmu_train.environment.attended_robots import AttendedRobots


class Listening:
    """Notes what it is told, and asks for more than joints can do."""

    def __init__(self) -> None:
        self.begun: list[tuple[list[int], Tensor]] = []
        self.touching: list[list[list[float]]] = []

    def begin(self, index: Tensor, command: Tensor) -> None:
        self.begun.append((index.tolist(), command.clone()))

    def act(self, observation: Tensor, touching: Tensor) -> Tensor:
        self.touching.append(touching.tolist())
        return torch.full((len(observation), 12), 1000.0)


def test_it_knows_who_begins_and_which_feet_touch() -> None:
    (env, dynamics), told = make(2), Listening()
    robots = AttendedRobots(env, told)
    seen = env.get_observations()["critic"]
    torch.testing.assert_close(robots.answer(seen), env.action_limits[1].expand(2, -1))
    dynamics.contact = torch.tensor([[0, 0, 0, 0, 1, 0, 0, 1], [1, 1, 1, 1, 0, 0, 0, 0.0]])
    dynamics.next_fell = torch.tensor([False, True])
    reward = robots.step(torch.zeros(2, 12))
    robots.answer(seen)
    assert reward.shape == (2,)
    assert [index for index, _ in told.begun] == [[0, 1], [1]]
    torch.testing.assert_close(told.begun[1][1], env.command[1:])
    # The second one fell: put down anew, it stands on all feet.
    assert told.touching == [[[1.0] * 4] * 2, [[1.0, 0.0, 0.0, 1.0], [1.0] * 4]]
    assert dynamics.contact[1, 4:].sum() == 0.0
