"""The group of ranks that a process belongs to: its start, and everything that ranks tell each other.

Rank 0 runs the program as a process alone does. The others wait for its word, and take part in what it names
(`infer.pipeline.follow`): only then, ``together``, are there several ranks for the code that computes.
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
"""Variables of the environment by which torchrun names a rank, its group and the place where they meet."""
_TO_MEET = timedelta(minutes=5)
_TO_WAIT = timedelta(days=7)
"""Longest time in an exchange: rank 0 may wait so long for another run that is making the same."""


class LostRank(RunError):
    """An exchange that another rank did not take part in, because it has ended."""


class Ranks:
    """The processes that share one piece of work, seen from one of them."""

    def __init__(self) -> None:
        self.rank = 0
        """Number of this process among them."""
        self.world = 1
        """Number of processes."""
        self.local_rank = 0
        """Number of this process among those of its machine."""
        self.store: Store | None = None
        """Keys and values that all ranks see, also of ranks that have ended."""
        self.end_together = False
        """True once the ranks have agreed to obey a signal."""
        self._together = False

    @property
    def first(self) -> bool:
        """True in the process that prints and writes."""
        return self.rank == 0

    @property
    def count(self) -> int:
        """Number of ranks that compute together at this moment; 1 while rank 0 works alone."""
        return self.world if self._together else 1

    @property
    def follows(self) -> bool:
        """True where another rank reads and writes the store for this one."""
        return self._together and not self.first

    @staticmethod
    def are_asked_for() -> bool:
        """True if the environment says that this process is one of several."""
        return os.environ.get("WORLD_SIZE", "1") != "1" and all(name in os.environ for name in _VARIABLES)

    def start(self) -> None:
        """Meet the other ranks, if there are any and they have not met yet.

        The CPU's tensors go through gloo, a GPU's through NCCL. Raises UsageError where the place to meet is taken or
        the others do not come.
        """
        if self.world > 1 or not self.are_asked_for():
            return
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else torch logs a page where a rank is lost
        import torch
        from torch import distributed
        from torch.distributed.rendezvous import rendezvous

        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        try:
            store, rank, world = next(rendezvous("env://", timeout=_TO_MEET))
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_TO_WAIT)
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
        """The GPU of this rank, ``asked`` being the setting ``device``; None without GPUs.

        Raises UsageError where ranks outnumber them, or one was named for all ranks.
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
        """Compute with all ranks while the work inside lasts; all of them do the same. Alone, where not ``yes``."""
        before, self._together = self._together, yes and self.world > 1
        try:
            yield
        finally:
            self._together = before

    def rows(self, total: int) -> slice:
        """This rank's share of ``total`` rows, images or classes; shares differ by at most one."""
        bounds = (total * rank // self.count for rank in (self._own, self._own + 1))
        return slice(*bounds)

    def shares(self, total: int) -> list[int]:
        """Sizes of every rank's ``rows``."""
        return [total * (rank + 1) // self.count - total * rank // self.count for rank in range(self.count)]

    @property
    def _own(self) -> int:
        return self.rank if self._together else 0

    def tell(self, word: Any) -> Any:
        """Give ``word``, anything that can be pickled, to the ranks that ``listen``; returns it."""
        return self._send(word)

    def listen(self) -> Any:
        """The next word of rank 0."""
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
        """Every rank's ``value``, in the order of ranks."""
        from torch import distributed

        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        with _noticing_losses():
            distributed.all_gather_object(values, value)
        return values

    def joined(self, rows: "Tensor") -> "Tensor":
        """The tensor on the CPU of which each rank holds its ``rows``."""
        import torch

        return rows.cpu() if self.count == 1 else torch.cat(self.gathered(rows.cpu()))

    def any(self, yes: bool) -> bool:
        """True if it is true of any of the ranks that compute together."""
        import torch
        from torch import distributed

        if self.count == 1:
            return yes
        answer = torch.tensor(int(yes))
        with _noticing_losses():
            distributed.all_reduce(answer)
        return bool(answer)

    def stacked(self, tensor: "Tensor") -> "Tensor":
        """Every rank's ``tensor``, of one shape and on one kind of device: [ranks, ...]."""
        import torch
        from torch import distributed

        if self.count == 1:
            return tensor.unsqueeze(0)
        found = [torch.empty_like(tensor) for _ in range(self.world)]
        with _noticing_losses():
            distributed.all_gather(found, tensor)
        return torch.stack(found)

    def add_up(self, *tensors: "Tensor") -> None:
        """Replace every tensor by its sum over the ranks, all of them in one exchange."""
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
        """Replace every tensor by that of rank 0."""
        from torch import distributed

        if self.count == 1:
            return
        with _noticing_losses():
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def close(self) -> None:
        """Leave the group: what others have begun with this rank fails."""
        from torch import distributed

        if self.world > 1 and distributed.is_initialized():
            distributed.destroy_process_group()


@contextlib.contextmanager
def _noticing_losses() -> Iterator[None]:
    """Raise LostRank for the errors by which torch says that a rank does not answer."""
    try:
        yield
    except RuntimeError as error:
        raise LostRank(f"another rank has ended: {' '.join(str(error).splitlines()[:1])}") from error


ranks = Ranks()
"""The ranks of this process."""
