"""A plan is saved and read back as it is, and a wrong one is refused by name."""

import json
import math

import pytest
import yaml

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.autonomous_walk import WalkLimits
from rwmu_deploy.patrol.collect_plan import CollectPlan, read_plan
from rwmu_deploy.patrol.excitation import Excitation
from rwmu_deploy.patrol.walking_area import Rectangle, WalkingArea


def test_every_plan_survives_json_and_yaml(tmp_path):
    plan = CollectPlan(
        area=WalkingArea(Rectangle(9.0, 7.0, (1.0, 0.5), 0.3), (Rectangle(1.0, 0.5, (3.0, 2.0)),)),
        excitation=Excitation(0.1),
        limits=WalkLimits(1800.0, 900.0),
        seed=4,
    )
    assert CollectPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(plan.to_dict()))
    assert read_plan(file) == plan


def test_the_plan_by_default_has_no_end_of_way():
    plan = CollectPlan.from_dict(CollectPlan().to_dict())
    assert plan == CollectPlan()
    assert plan.limits.farthest_m == math.inf


def test_what_a_file_leaves_out_is_as_by_default(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text("area: {boundary: {length_m: 12}}\nfence: {drift_share: 0}\n")
    plan = read_plan(file)
    assert plan.area.boundary == Rectangle(12, 6.0)
    assert plan.fence.drift_share == 0
    assert plan.schedule == CollectPlan().schedule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hours: 2", "plan has no 'hours'; allowed is area"),
        ("fence: {margin: 1}", "plan.fence has no 'margin'"),
        ("fence: 3", "plan.fence is 3; allowed are names with values"),
        ("fence: {margin_m: wide}", "plan.fence.margin_m is 'wide'; allowed are numbers"),
        ("fence: {margin_m: .nan}", "fence margin_m is nan"),
        ("fence: {margin_m: true}", "plan.fence.margin_m is True; allowed are numbers"),
        ("area: {keep_out: 1}", "plan.area.keep_out is 1"),
        ("area: {keep_out: [{length_m: 1}]}", "is not whole"),
        ("area: {boundary: {width_m: -1}}", "a rectangle of"),
        ("limits: {longest_s: 0}", "walk longest_s is 0"),
        ("battery_floor: 1.5", "battery_floor is 1.5; allowed is 0 to 0.9"),
        ("seed: -1", "seed is -1"),
        ("seed: 0.5", "seed is 0.5"),
        ("- 1", "holds list"),
        ("{", "can't be read"),
    ],
)
def test_a_wrong_plan_is_refused_by_name(tmp_path, text, said):
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_plan(file)
    assert said in str(caught.value)


def test_a_plan_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"plan .*none\.yaml can't be read"):
        read_plan(tmp_path / "none.yaml")
