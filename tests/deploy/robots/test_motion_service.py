"""An answer is a mode only where it says so; silence and nonsense are never "none"."""

import pytest

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.robots.unitree.motion_service import mode_in, refuse_failure


@pytest.mark.parametrize(
    ("data", "name"), [('{"form":"0","name":"ai"}', "ai"), ('{"name":""}', "")]
)
def test_a_mode_by_its_name(data, name):
    assert mode_in(0, data) == name


@pytest.mark.parametrize(
    "data", ["", "{}", "null", "[]", "7", '{"name":null}', '{"name":1}', "ai"]
)
def test_what_names_no_mode_is_refused(data):
    with pytest.raises(RobotLinkError, match="allowed is JSON with the name of a mode"):
        mode_in(0, data)


@pytest.mark.parametrize("code", [-1, 7001])
def test_a_failure_is_no_mode(code):
    with pytest.raises(RobotLinkError, match=f"code {code}; allowed is 0"):
        mode_in(code, '{"name":""}')
    with pytest.raises(RobotLinkError):
        refuse_failure(code)
