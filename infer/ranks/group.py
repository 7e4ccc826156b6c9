"""Group of ranks that a process belongs to: its start, and the communication between ranks.

Rank 0 runs the program like a single process. The other ranks wait for its messages, and take part in the work that a
message names (`infer.pipeline.follow`). Only within ``together`` does code that computes see more than one rank.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from infer.errors import RunError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch.distributed.distributed_c10d import Store

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables with which torchrun names a rank, the number of ranks, and the address where they meet."""
_MEETING_TIMEOUT = timedelta(minutes=5)
_EXCHANGE_TIMEOUT = timedelta(days=7)
"""Timeout of an exchange; it is long since rank 0 may be waiting for another run that makes the same artefact."""


class LostRank(RunError):
    """An exchange failed because another rank has ended."""


class Ranks:
    """The processes that share one piece of work, as seen from one of them."""

    def __init__(self) -> None:
        self.rank = 0
        """Number of this process among all ranks."""
        self.world = 1
        """Number of ranks."""
        self.local_rank = 0
        """Number of this process among the ranks on its machine."""
        self.store: Store | None = None
        """Key-value store of all ranks, which keeps the values of ranks that have ended."""
        self.end_together = False
        """True once all ranks have agreed to obey a signal."""
        self._together = False

    @property
    def first(self) -> bool:
        """True for rank 0, which prints and writes."""
        return self.rank == 0

    @property
    def count(self) -> int:
        """Number of ranks that compute together at the moment; 1 while rank 0 works alone."""
        return self.world if self._together else 1

    @property
    def follows(self) -> bool:
        """True where rank 0 reads and writes the artefact store for this rank."""
        return self._together and not self.first

    @staticmethod
    def are_asked_for() -> bool:
        """True if the environment variables describe this process as one of several ranks."""
        return os.environ.get("WORLD_SIZE", "1") != "1" and all(name in os.environ for name in _VARIABLES)

    def start(self) -> None:
        """Join the process group, if there are other ranks and this one has not joined yet.

        Tensors on the CPU are exchanged with gloo, those on GPUs with NCCL. Raises UsageError where the port is in use
        or other ranks do not join in time.
        """
        if self.world > 1 or not self.are_asked_for():
            return
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # otherwise torch logs a page where a rank is lost
        import torch
        from torch import distributed
        from torch.distributed.rendezvous import rendezvous

        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        try:
            store, rank, world = next(rendezvous("env://", timeout=_MEETING_TIMEOUT))
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_EXCHANGE_TIMEOUT)
        except (RuntimeError, ValueError) as error:
            taken = "EADDRINUSE" in str(error) or "already in use" in str(error)
            reason = f"port {os.environ['MASTER_PORT']} is in use" if taken else "not all of them came"
            raise UsageError(
                f"{os.environ['WORLD_SIZE']} ranks were to meet at {place}, but {reason}. "
                "Type torchrun --standalone for a free port, or --master-port=<another>"
            ) from error
        self.rank, self.world, self.store = rank, world, store
        self.local_rank = int(os.environ.get("LOCAL_RANK", rank))

    def device(self, asked: str) -> "device | None":
        """The GPU of this rank; None where there are no GPUs.

        Raises UsageError where the machine has more ranks than GPUs, or where ``asked``, the setting ``device``, names
        one GPU for all ranks.
        """
        import torch

        gpus = torch.cuda.device_count()
        if gpus == 0:
            return None
        if ":" in asked:
            raise UsageError(f"device={asked} was given to {self.world} ranks, each of which has its own. Leave it out")
        if self.local_rank >= gpus:
            raise UsageError(
                f"rank {self.rank} is number {self.local_rank} of its machine, which has {gpus} GPUs. "
                f"Type --nproc-per-node={gpus}, or device=cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    @contextlib.contextmanager
    def together(self, yes: bool = True) -> Iterator[None]:
        """Context in which all ranks compute together; all of them must enter it. Unless ``yes``, each works alone."""
        before, self._together = self._together, yes and self.world > 1
        try:
            yield
        finally:
            self._together = before

    def rows(self, total: int) -> slice:
        """This rank's slice of ``total`` rows, images or classes; slices differ in size by at most one."""
        bounds = (total * rank // self.count for rank in (self._own, self._own + 1))
        return slice(*bounds)

    def shares(self, total: int) -> list[int]:
        """Sizes of the slices ``rows`` of all ranks."""
        return [total * (rank + 1) // self.count - total * rank // self.count for rank in range(self.count)]

    @property
    def _own(self) -> int:
        return self.rank if self._together else 0

    def tell(self, word: Any) -> Any:
        """Send ``word``, which may be any object that can be pickled, to the ranks that ``listen``; returns it."""
        return self._send(word)

    def listen(self) -> Any:
        """The next object that rank 0 sends."""
        return self._send(None)

    def _send(self, word: Any) -> Any:
        from torch import distributed

        if self.world == 1:
            return word
        held = [word]
        with _noticing_losses():
            distributed.broadcast_object_list(held, src=0)
        return held[0]

    def gathered(self, value: Any) -> list[Any]:
        """The ``value`` of every rank, in the order of the ranks."""
        from torch import distributed

        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        with _noticing_losses():
            distributed.all_gather_object(values, value)
        return values

    def joined(self, rows: "Tensor") -> "Tensor":
        """Concatenation, on the CPU, of the ``rows`` of all ranks."""
        import torch

        return rows.cpu() if self.count == 1 else torch.cat(self.gathered(rows.cpu()))

    def any(self, yes: bool) -> bool:
        """True if ``yes`` is true in any of the ranks that compute together."""
        import torch
        from torch import distributed

        if self.count == 1:
            return yes
        answer = torch.tensor(int(yes))
        with _noticing_losses():
            distributed.all_reduce(answer)
        return bool(answer)

    def stacked(self, tensor: "Tensor") -> "Tensor":
        """The ``tensor`` of every rank, stacked: [ranks, ...]. Shapes and kinds of device must be equal."""
        import torch
        from torch import distributed

        if self.count == 1:
            return tensor.unsqueeze(0)
        found = [torch.empty_like(tensor) for _ in range(self.world)]
        with _noticing_losses():
            distributed.all_gather(found, tensor)
        return torch.stack(found)

    def add_up(self, *tensors: "Tensor") -> None:
        """Replace every tensor by its sum over the ranks, with one exchange for all tensors."""
        import torch
        from torch import distributed

        if self.count == 1:
            return
        bucket = torch.cat([tensor.detach().flatten() for tensor in tensors])
        with _noticing_losses():
            distributed.all_reduce(bucket)
        for tensor, total in zip(tensors, bucket.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(total.view_as(tensor))

    def take_from_first(self, *tensors: "Tensor") -> None:
        """Replace every tensor by the tensor of rank 0."""
        from torch import distributed

        if self.count == 1:
            return
        with _noticing_losses():
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def close(self) -> None:
        """Leave the process group; exchanges that other ranks have begun with this one fail."""
        from torch import distributed

        if self.world > 1 and distributed.is_initialized():
            distributed.destroy_process_group()


@contextlib.contextmanager
def _noticing_losses() -> Iterator[None]:
    """Context that converts torch's errors about a rank that does not answer to LostRank."""
    try:
        yield
    except RuntimeError as error:
        raise LostRank(f"another rank has ended: {' '.join(str(error).splitlines()[:1])}") from error


ranks = Ranks()
"""The ranks, as seen from this process."""
