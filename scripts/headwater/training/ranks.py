"""The processes that share a training run: one alone, or several that add gradients.

Every rank holds the whole model, takes its share of each batch's rows, and adds its
gradient to the others' before clipping and the update, so that all hold the same
weights. One all-reduce of one flat vector a step does it. DistributedDataParallel would
bring a wrapped model, averages instead of sums, and a synchronisation to switch off for
all micro-batches but the last; what it gains, overlap of that last one with the
network, is small beside a step of many micro-batches.
"""

from datetime import timedelta

import torch
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.models.sites import Model

# What a signal may ask for at the end of a step: to save; to stop as well, and to be
# started anew by who runs the job, or not.
GO_ON, SAVE, STOP, END = range(4)
WAIT = timedelta(minutes=30)  # for a rank that reads rows, or whose network stalls


class Ranks:
    """One process alone; also what all kinds have in common.

    Attributes:
        rank: this process's number; rank 0 saves and logs.
        count: processes of the run.
        wish: set by signal handlers, at any time: one of the four.
        agreed: rank 0's wish, known to all ranks since the last `add_up`.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count
        self.wish = self.agreed = GO_ON

    def share(self, rows: int) -> slice:
        """Which of a batch's rows are this rank's; shares differ by one row at most."""
        start, stop = (rows * r // self.count for r in (self.rank, self.rank + 1))
        return slice(start, stop)

    def add_up(self, model: Model, loss: Tensor) -> Tensor:
        """Add up all ranks' gradients in place; returns the sum of their losses."""
        self.agreed = self.wish
        return loss

    def any(self, value: bool) -> bool:
        """Whether any rank says so: the same answer for all."""
        return value

    def check_same(self, step: int) -> None:
        """Wait for all ranks, and see that they begin at the same step."""


class Group(Ranks):
    """One of several processes, each of which calls every method.

    Args:
        device: where the model is; nccl joins GPUs, gloo everything else.

    The address of rank 0 stands in the environment (MASTER_ADDR, MASTER_PORT).
    """

    def __init__(self, rank: int, count: int, device: torch.device) -> None:
        from torch import distributed

        super().__init__(rank, count)
        backend = "nccl" if device.type == "cuda" else "gloo"
        where = device if device.type == "cuda" else None
        distributed.init_process_group(
            backend, rank=rank, world_size=count, timeout=WAIT, device_id=where
        )
        self._device = device

    def add_up(self, model: Model, loss: Tensor) -> Tensor:
        """Add up all ranks' gradients in place; returns the sum of their losses.

        Raises:
            HeadwaterError: another rank has died, or does not answer.
        """
        parameters = list(model.parameters())
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        wish = self.wish if self.rank == 0 else GO_ON
        ends = [loss, loss.new_tensor(float(wish))]
        flat = torch.cat([part.flatten() for part in (*grads, *ends)])
        self._reduce(flat)
        *summed, total, agreed = flat.split([*(g.numel() for g in grads), 1, 1])
        for parameter, grad, values in zip(parameters, grads, summed, strict=True):
            grad.copy_(values.view_as(grad))
            parameter.grad = grad
        self.agreed = round(agreed.item())
        return total.squeeze()

    def check_same(self, step: int) -> None:
        """Wait for all ranks, and see that they begin at the same step.

        Raises:
            HeadwaterError: they do not; a file system may show a node old files.
        """
        steps = torch.zeros(self.count, device=self._device, dtype=torch.int64)
        steps[self.rank] = step
        self._reduce(steps)
        if len(set(steps.tolist())) > 1:
            raise HeadwaterError(
                f"ranks read checkpoints of steps {steps.tolist()}: the nodes do not "
                "see the same files yet; run again"
            )

    def any(self, value: bool) -> bool:
        """Whether any rank says so: the same answer for all."""
        votes = torch.tensor([int(value)], device=self._device)
        self._reduce(votes)
        return bool(votes)

    def close(self) -> None:
        """Leave the group."""
        from torch import distributed

        distributed.destroy_process_group()

    def _reduce(self, values: Tensor) -> None:
        from torch import distributed

        try:
            distributed.all_reduce(values)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise HeadwaterError(
                f"rank {self.rank} of {self.count} lost the others ({reason}); the run "
                "goes on from its last saved state when it is started again"
            ) from error
