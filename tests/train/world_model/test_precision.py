from unittest import mock

import pytest
import torch

from rwmu_train.world_model import precision
from rwmu_train.world_model.precision import product_dtype


@pytest.mark.parametrize(
    ("named", "fast", "expected"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
    ],
)
def test_auto_is_bfloat16_only_where_the_processor_multiplies_it(named, fast, expected) -> None:
    with mock.patch.object(precision, "has_bfloat16_products", return_value=fast):
        assert product_dtype(named) == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"), [({"avx512_bf16": True}, True), ({"avx512_f": True}, False)]
)
def test_what_torch_says_of_the_processor_counts(capabilities, expected) -> None:
    named = mock.Mock(return_value=capabilities)
    with mock.patch.object(torch.cpu, "get_capabilities", named, create=True):
        assert precision.has_bfloat16_products() == expected


def test_a_torch_that_does_not_say_means_no() -> None:
    with mock.patch.object(torch, "cpu", object()):
        assert not precision.has_bfloat16_products()
