"""The exported file means the same to a runtime that shares no code with onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export.check_observations import random_observations
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork


def test_reference_evaluator_of_onnx_gives_the_trained_policys_numbers(
    bundle_folder: Path, network: PolicyNetwork, facts: PolicyFacts
):
    bundle = PolicyBundle.load(bundle_folder)
    evaluator = ReferenceEvaluator(onnx.load(str(bundle_folder / "policy.onnx")))
    drawn = random_observations(facts, 184, np.random.default_rng(12))
    observations = np.concatenate([bundle.golden_observations, drawn])
    assert len(observations) == 200

    answers = np.concatenate([evaluator.run(None, {"obs": row[None]})[0] for row in observations])
    np.testing.assert_allclose(answers[:16], bundle.golden_actions, rtol=0.0, atol=1e-5)
    on_robot = np.stack([bundle.action(row) for row in observations])
    np.testing.assert_allclose(answers, on_robot, rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(answers, network.action(observations), rtol=0.0, atol=1e-5)
    # They are answers, not one constant or one limit.
    assert np.ptp(answers, axis=0).min() > 0.1
