import pytest

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, save_world_model
from rwmu_train.world_model.ensemble import Architecture, WorldModel
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS
from rwmu_train.world_model.start import load_start

SIZES = (45, 12, 8)
OTHERS = [
    Architecture(*SIZES, members=2, layers=2, hidden=12, head_hidden=9, log_std="none"),
    Architecture(
        *SIZES,
        members=4,
        layers=1,
        hidden=8,
        head_hidden=7,
        log_std="none",
        trunks="separate",
        auxiliary="state_trunk",
        residual=False,
    ),
]


@pytest.mark.parametrize("preset", ["default", "quick"])
@pytest.mark.parametrize("architecture", OTHERS, ids=["two shared layers", "one of their own"])
def test_a_model_goes_on_in_its_own_sizes_whatever_the_preset(
    spec: RobotSpec, tmp_path, architecture, preset
) -> None:
    facts = WorldModelFacts(
        *(spec, architecture, released_normaliser(spec)),
        history=20,
        settings={},
        data_sha256=(),
        iteration=7,
    )
    start = load_start(save_world_model(tmp_path, WorldModel(architecture), facts), spec)
    settings = start.sizes_into(WORLD_MODEL_PRESETS[preset])
    assert settings.architecture(*SIZES, 0) == architecture
    assert settings.history == 20
