"""A GRU layer for many groups of sequences at once, each group with weights of its own.

The sequence is one autograd node instead of some dozens a time step: input projections and weight
gradients are single products over all steps, and only what depends on the step before runs step
by step. Products run in bfloat16 where asked for; gates, hidden states and sums stay float32.

Gates as in Cho et al. (arXiv:1406.1078) with the reset gate behind the recurrent product, as in
cuDNN and `torch.nn.GRU`: order reset, update, candidate.

Notation: G groups, T steps, n sequences of a group, D inputs, H hidden.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CACHED_SEQUENCES = 256
"""Sequences whose gates a CPU's cache holds; 4096 at once take two and a half times as long."""


class GruLayer(nn.Module):
    """One layer of G GRUs.

    Attributes:
        product_dtype: Of the factors of matrix products, float32 or bfloat16.
    """

    def __init__(self, groups: int, inputs: int, hidden: int) -> None:
        super().__init__()
        bound = hidden**-0.5
        self.weight_ih = nn.Parameter(torch.empty(groups, inputs, 3 * hidden))
        self.weight_hh = nn.Parameter(torch.empty(groups, hidden, 3 * hidden))
        self.bias_ih = nn.Parameter(torch.empty(groups, 1, 3 * hidden))
        self.bias_hh = nn.Parameter(torch.empty(groups, 1, 3 * hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        self.product_dtype = torch.float32

    @property
    def hidden(self) -> int:
        return self.weight_hh.shape[1]

    def sequence(self, inputs: Tensor) -> Tensor:
        """Hidden states (G, T, n, H) after every input (G, T, n, D); memory starts at 0."""
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return cast(Tensor, _GruSequence.apply(inputs, *weights, self.product_dtype))

    def step(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        """Hidden state (G, n, H) after one more input (G, n, D)."""
        if not torch.is_grad_enabled():
            after = hidden.clone()
            self.advance(inputs, after)
            return after
        to = self.product_dtype
        projected = torch.bmm(inputs.to(to), self.weight_ih.to(to)).float()
        recurrent = torch.bmm(hidden.to(to), self.weight_hh.to(to)).float()
        return cast(
            Tensor, _GruCell.apply(projected, recurrent, hidden, self.bias_ih, self.bias_hh)
        )

    @torch.no_grad()
    def advance(self, inputs: Tensor, hidden: Tensor) -> None:
        """As `step`, in place, with gates in the products' dtype: nothing is kept for a way back.

        Reset and update take their input and their memory in one product. The candidate's weights
        are doubled beforehand, which is exact, instead of the candidates.
        """
        to, size, kept = self.product_dtype, self.hidden, hidden.dtype
        into, recur = self.weight_ih.to(to), self.weight_hh.to(to)
        both = torch.cat([into[..., : 2 * size], recur[..., : 2 * size]], dim=1)
        into, recur = 2.0 * into[..., 2 * size :], 2.0 * recur[..., 2 * size :]
        bias = _joined_bias(self.bias_ih, self.bias_hh, size).to(to)
        bias, candidate_bias = bias[..., : 2 * size], 2.0 * bias[..., 2 * size :]
        recall_bias = 2.0 * self.bias_hh[..., 2 * size :].to(to)
        block = CACHED_SEQUENCES if hidden.device.type == "cpu" else hidden.shape[1]
        for x, own in zip(inputs.split(block, dim=1), hidden.split(block, dim=1), strict=True):
            factors = torch.cat([x.to(to), own.to(to)], dim=-1)
            x, memory = factors.split([x.shape[-1], size], dim=-1)
            gates = torch.baddbmm(bias, factors, both).sigmoid_()
            reset, update = gates.split(size, dim=-1)
            candidate = torch.baddbmm(candidate_bias, x, into)
            _tanh_of_half_(candidate.addcmul_(reset, torch.baddbmm(recall_bias, memory, recur)))
            torch.lerp(candidate.to(kept), own, update.to(kept), out=own)


class _GruSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        groups, steps, count, _ = inputs.shape
        size = weight_hh.shape[1]
        factor = inputs.to(dtype)
        into, recur = weight_ih.to(dtype), weight_hh.to(dtype)
        # Float32 gates, (G, T, n, 3 H): projections first, then reset, update, candidate.
        gates = torch.bmm(factor.flatten(1, 2), into).float().unflatten(1, (steps, count))
        gates += _joined_bias(bias_ih, bias_hh, size).unsqueeze(1)
        candidate_bias = bias_hh[..., 2 * size :]
        hidden = inputs.new_empty(groups, steps, count, size)
        recalled = inputs.new_empty(groups, steps, count, size)
        before = inputs.new_zeros(groups, count, size)
        for t in range(steps):
            now, recall = gates[:, t], recalled[:, t]
            if t > 0:
                product = torch.bmm(before.to(dtype), recur).float()
                now[..., : 2 * size] += product[..., : 2 * size]
                torch.add(product[..., 2 * size :], candidate_bias, out=recall)
            else:
                recall.copy_(candidate_bias.expand_as(recall))
            _activate(now, recall, before, size, out=hidden[:, t])
            before = hidden[:, t]
        ctx.save_for_backward(factor, into, recur, gates, recalled, hidden)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        factor, into, recur, gates, recalled, hidden = ctx.saved_tensors
        dtype, size = into.dtype, recur.shape[1]
        steps = hidden.shape[1]
        projected = torch.empty_like(gates, dtype=dtype)
        recurrent = torch.empty_like(gates, dtype=dtype)
        back = recur.transpose(1, 2).contiguous()
        carried = torch.zeros_like(hidden[:, 0])
        for t in reversed(range(steps)):
            carried += grad[:, t]
            before = hidden[:, t - 1] if t > 0 else torch.zeros_like(carried)
            parts = _gate_gradients(carried, gates[:, t], recalled[:, t], before, size)
            reset, update, candidate, recall, kept = parts
            for slot, (of_input, of_memory) in enumerate(
                ((reset, reset), (update, update), (candidate, recall))
            ):
                columns = slice(slot * size, (slot + 1) * size)
                projected[:, t, :, columns] = of_input
                recurrent[:, t, :, columns] = of_memory
            if t > 0:
                carried = kept.add_(torch.bmm(recurrent[:, t], back))
        flat, flat_recurrent = projected.flatten(1, 2), recurrent.flatten(1, 2)
        grad_inputs = None
        if ctx.needs_input_grad[0]:
            grad_inputs = torch.bmm(flat, into.transpose(1, 2)).float()
            grad_inputs = grad_inputs.unflatten(1, (steps, -1))
        memory = hidden[:, :-1].to(dtype).flatten(1, 2)
        grad_ih = torch.bmm(factor.flatten(1, 2).transpose(1, 2), flat).float()
        grad_hh = torch.bmm(memory.transpose(1, 2), recurrent[:, 1:].flatten(1, 2)).float()
        # A product with ones: torch's sum over rows takes several times as long.
        ones = flat.new_ones(len(flat), 1, flat.shape[1])
        sums = (torch.bmm(ones, each).float() for each in (flat, flat_recurrent))
        return grad_inputs, grad_ih, grad_hh, *sums, None


class _GruCell(torch.autograd.Function):
    """What happens between two products of a step."""

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        recurrent: Tensor,
        before: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        size = before.shape[-1]
        gates = projected + _joined_bias(bias_ih, bias_hh, size)
        gates[..., : 2 * size] += recurrent[..., : 2 * size]
        recalled = recurrent[..., 2 * size :] + bias_hh[..., 2 * size :]
        after = torch.empty_like(before)
        _activate(gates, recalled, before, size, out=after)
        ctx.save_for_backward(gates, recalled, before)
        return after

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor, ...]:
        gates, recalled, before = ctx.saved_tensors
        size = before.shape[-1]
        parts = _gate_gradients(grad, gates, recalled, before, size)
        reset, update, candidate, recall, kept = parts
        projected = torch.cat([reset, update, candidate], dim=-1)
        recurrent = torch.cat([reset, update, recall], dim=-1)
        sums = projected.sum(1, keepdim=True), recurrent.sum(1, keepdim=True)
        return projected, recurrent, kept, *sums


def _joined_bias(bias_ih: Tensor, bias_hh: Tensor, size: int) -> Tensor:
    """Both biases where they only add up: everywhere but behind the reset gate."""
    joined = bias_ih.clone()
    joined[..., : 2 * size] += bias_hh[..., : 2 * size]
    return joined


def _activate(gates: Tensor, recalled: Tensor, before: Tensor, size: int, out: Tensor) -> None:
    """Turn gates' arguments into gates, in place, and write the new hidden state.

    Args:
        gates: (G, n, 3 H); the candidate's third still without what is recalled.
        recalled: The candidate's recurrent part before the reset gate, (G, n, H).
        before: Hidden state, (G, n, H).
        size: H.
        out: (G, n, H).
    """
    gates[..., : 2 * size].sigmoid_()
    candidate = gates[..., 2 * size :]
    _tanh_(candidate.addcmul_(gates[..., :size], recalled))
    torch.lerp(candidate, before, gates[..., size : 2 * size], out=out)


def _tanh_(values: Tensor) -> None:
    """In place."""
    _tanh_of_half_(values.mul_(2.0))


def _tanh_of_half_(values: Tensor) -> None:
    """In place, as 2 sigmoid(x) - 1: torch's float32 tanh takes six times as long."""
    values.sigmoid_().mul_(2.0).sub_(1.0)


def _gate_gradients(
    grad: Tensor, gates: Tensor, recalled: Tensor, before: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the arguments of reset, update and candidate, of `recalled`, of `before`."""
    reset, update, candidate = gates.split(size, dim=-1)
    kept = grad * update
    new = grad - kept
    into_candidate = torch.addcmul(new, new, candidate.square(), value=-1.0)
    into_update = (before - candidate).mul_(kept)
    into_update.addcmul_(into_update, update, value=-1.0)
    recall = into_candidate * reset
    into_reset = recalled * recall
    into_reset.addcmul_(into_reset, reset, value=-1.0)
    return into_reset, into_update, into_candidate, recall, kept
