import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.ensemble import Architecture, WorldModel

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "imagination.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    module_spec = importlib.util.spec_from_file_location("imagination_benchmark", SCRIPT)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module_spec.name, module)
        module_spec.loader.exec_module(module)
        yield module


def test_every_way_meets_the_same_resets_and_is_set_beside_the_released_code(
    benchmark, small_dataset
) -> None:
    torch.manual_seed(0)
    model = WorldModel(Architecture(45, 12, 8, members=5, hidden=16, head_hidden=8))
    normaliser = released_normaliser(small_dataset.spec)
    ways = {
        name: benchmark.OurImagination(
            benchmark.without_falls(model), normaliser, small_dataset, 300, "float32", "cpu"
        )
        for name in ("released", "ours")
    }
    found = benchmark.compare(ways, 300, 1, "cpu")
    # Of ages 0 to 255 and 0 to 43 the 24 from 208 to 231 reach 256 in the second 24 steps.
    share = round(24 / (24 * 300), 5)
    assert found["resets_per_step"] == {"released": share, "ours": share}
    assert min(found["steps_per_s"].values()) > 0
    assert all(0.0 < share < 1.0 for share in found["share_of_time_in_histories"].values())
    assert list(found["over_released"]) == ["ours"]


def test_the_models_that_are_compared_never_predict_a_fall(benchmark, small_dataset) -> None:
    torch.manual_seed(0)
    for model, _ in benchmark.our_models(small_dataset, None).values():
        memory = model.replay(torch.randn(4, 50, 57))
        fall = model.contact_and_termination_logits(model.auxiliary_features(memory))[1]
        assert fall.max() < -10.0


def test_two_models_with_other_weights_differ_and_one_does_not_from_itself(benchmark) -> None:
    """The public code's module is played by ours."""

    class AsReleased(torch.nn.Module):
        def __init__(self, model: WorldModel) -> None:
            super().__init__()
            self.model = model

        def reset(self) -> None:
            """Nothing is kept."""

        def forward(self, state, action):
            inputs = torch.cat([state, action], dim=-1).transpose(0, 1)
            means = self.model.next_state(self.model.replay(inputs), state[:, -1])
            return means.mean(0), None, means.std(0).sum(1), None, None, None

    torch.manual_seed(0)
    one, other = (
        WorldModel(Architecture(45, 12, 8, members=3, hidden=16, head_hidden=8)) for _ in range(2)
    )
    assert benchmark.largest_difference(one, AsReleased(one)) < 1e-4
    assert benchmark.largest_difference(one, AsReleased(other)) > 0.01


def test_a_package_of_a_checkout_is_found_and_then_its_name_means_ours_again(
    benchmark, tmp_path
) -> None:
    import rsl_rl

    package = tmp_path / "rsl_rl"
    package.mkdir()
    (package / "__init__.py").write_text("WHOSE = 'theirs'\n")
    with benchmark.imports_from(tmp_path, "rsl_rl"):
        theirs = importlib.import_module("rsl_rl")
    assert theirs.WHOSE == "theirs"
    assert sys.modules["rsl_rl"] is rsl_rl


def test_one_checkout_without_the_other_is_refused(benchmark, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["imagination.py", "--released", "rsl_rl_rwm"])
    with pytest.raises(SystemExit) as stopped:
        benchmark.main()
    assert stopped.value.code == 2
    assert "need each other" in capsys.readouterr().err
