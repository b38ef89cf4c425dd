"""One process or many: who this process is, how weights are shared, what is summed over all of them.

One machine and one device need none of it (`ALONE`). Under `torchrun` every process takes its share of each batch,
FSDP2 shards weights and optimiser states, and loss denominators are sums over all processes, so that the gradient
is that of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from model.transformer import Transformer

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """`rank` of `size` processes; `mesh` is None for a single one."""

    rank: int = 0
    size: int = 1
    mesh: DeviceMesh | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all: logs, saves, packages."""
        return self.rank == 0

    def shard(self, network: Transformer) -> None:
        """Divide the weights among the processes, layer by layer (in place)."""
        if self.mesh is not None:
            for layer in network.layers:
                fully_shard(layer, mesh=self.mesh)
            fully_shard(network, mesh=self.mesh)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """`values` summed over all processes (in place, without gradient)."""
        if self.mesh is not None:
            dist.all_reduce(values)
        return values

    def agree(self, value: float) -> float:
        """The first process's value: clocks differ, and all must stop at the same step."""
        if self.mesh is None:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.mesh.device_type)
        dist.broadcast(told, 0)
        return float(told.item())

    def tell(self, value: T) -> T:
        """The first process's value of anything that can be pickled: what all train on must be the same."""
        if self.mesh is None:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, device=torch.device(self.mesh.device_type))
        return box[0]

    def share(self, rows: Sequence[T]) -> list[T]:
        """This process's part of a batch's rows."""
        return list(rows[self.rank :: self.size])

    def wait(self) -> None:
        if self.mesh is not None:
            dist.barrier()


ALONE = World()


def join(device: torch.device) -> World:
    """Join the processes that `torchrun` started; `ALONE` where it did not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), size, init_device_mesh(device.type, (size,)))


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor that may be sharded; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_weights(network: Transformer) -> dict[str, torch.Tensor]:
    """A copy of all weights, on the CPU; every process must ask."""
    return {name: whole(w.detach()).to("cpu", copy=True) for name, w in network.state_dict().items()}


@torch.no_grad()
def load_weights_into(network: Transformer, weights: Mapping[str, torch.Tensor]) -> None:
    """Load whole weights into a network that may be sharded; raises KeyError or RuntimeError where they do not fit."""
    own = network.state_dict()
    if missing := sorted(set(own) ^ set(weights)):
        raise KeyError(f"weights that do not fit: {', '.join(missing[:5])}")
    for name, weight in own.items():
        value = weights[name].to(weight.device, weight.dtype)
        if isinstance(weight, DTensor):
            value = distribute_tensor(value, weight.device_mesh, weight.placements)
        weight.copy_(value)


def local_state(state: Any) -> Any:
    """An optimiser's state with this process's shards as plain tensors, as `torch.save` takes them safely."""
    if isinstance(state, DTensor):
        return state.to_local()
    if isinstance(state, dict):
        return {k: local_state(v) for k, v in state.items()}
    return [local_state(v) for v in state] if isinstance(state, list) else state


def sharded_state(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The inverse of `local_state` for an optimiser whose parameters may be sharded."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    found: dict[int, dict[str, Any]] = {}
    for index, values in state["state"].items():
        parameter = parameters[index]
        found[index] = {
            name: DTensor.from_local(
                value,
                parameter.device_mesh,
                parameter.placements,
                shape=parameter.shape,
                stride=parameter.stride(),
            )
            if isinstance(parameter, DTensor) and isinstance(value, torch.Tensor) and value.ndim
            else value
            for name, value in values.items()
        }
    return {**state, "state": found}
