"""Several processes that train together, each on its share of every batch (torchrun).

One flat all-reduce of the gradients, instead of DistributedDataParallel: the loss does not go
through one `forward`, and parameters that a loss leaves out must stay without a gradient, or AdamW
would decay them in two processes and not in one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from rwmu_train.processes.process_share import ProcessShare

EXIT_OTHER_FAILED = 1


def processes_started() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined_processes() -> Iterator[ProcessShare]:
    """Join the processes that torchrun started on this machine; alone, nothing is joined.

    The first process that fails raises what it failed of. The others, which fail of the same or
    because their partner is gone, leave by SystemExit without a word: one failure, one message.

    Yields:
        This process's share.
    """
    if processes_started() == 1:
        yield ProcessShare()
        return
    store, rank, processes = next(rendezvous("env://"))
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=PrefixStore("gradients", store),
        rank=rank,
        world_size=processes,
    )
    share = ProcessShare(rank, processes)
    try:
        yield share
        wait_for_all(share)
    except BaseException:
        if _is_first_failure(store):
            raise
        raise SystemExit(EXIT_OTHER_FAILED) from None
    finally:
        distributed.destroy_process_group()


def _is_first_failure(store: Store) -> bool:
    try:
        return store.add("failures", 1) == 1
    except RuntimeError:  # it went with the process that failed
        return False


def wait_for_all(share: ProcessShare) -> None:
    """Return when every process has come here."""
    if share.processes > 1:
        distributed.barrier()


def average_over_processes(share: ProcessShare, tensors: Sequence[Tensor]) -> None:
    """Replace tensors, of the same shapes in every process, by their means over processes."""
    if share.processes == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= share.processes
    for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
