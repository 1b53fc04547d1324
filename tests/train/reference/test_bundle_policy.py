"""A bundle acts on many robots as it does on one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.reference.bundle_policy import load_bundle_policy

BUNDLE = Path(__file__).parents[3] / "exports" / "anymal_d_flat"


def test_many_robots_get_the_actions_that_each_would_get_alone(spec) -> None:
    seen = np.random.default_rng(0).normal(size=(50, 48)).astype(np.float32)
    alone = PolicyBundle.load(BUNDLE)
    together = load_bundle_policy(BUNDLE, spec)(torch.from_numpy(seen))
    assert together.dtype == torch.float32
    expected = np.stack([alone.action(row) for row in seen])
    np.testing.assert_allclose(together.numpy(), expected, atol=1e-5)


def test_an_altered_bundle_is_refused(spec, tmp_path: Path) -> None:
    altered = tmp_path / "bundle"
    shutil.copytree(BUNDLE, altered)
    model = altered / "policy.onnx"
    data = bytearray(model.read_bytes())
    data[-200] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleError, match=r"policy\.onnx"):
        load_bundle_policy(altered, spec)


def test_another_joint_order_is_refused(spec) -> None:
    turned = replace(spec, joints=spec.joints[::-1])
    with pytest.raises(BundleError, match="allowed is the robot's order RH_KFE"):
        load_bundle_policy(BUNDLE, turned)


def test_another_robots_gains_are_refused(spec) -> None:
    stiffer = tuple(replace(joint, kp_nm_per_rad=100.0) for joint in spec.joints)
    with pytest.raises(BundleError, match="kp_nm_per_rad differs"):
        load_bundle_policy(BUNDLE, replace(spec, joints=stiffer))
