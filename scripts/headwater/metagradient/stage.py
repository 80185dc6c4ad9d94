"""The whole: there through the window, and back; it goes on where it was killed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from headwater.checkpoints.files import load_tensors
from headwater.errors import HeadwaterError
from headwater.logs import logger
from headwater.metagradient.backward import Backward, WayBack
from headwater.metagradient.metric import Metric
from headwater.metagradient.replay import Replay, State
from headwater.metagradient.storage import Plan, Store
from headwater.progress import Progress
from headwater.publish import discard_work, work_folder


@dataclass(frozen=True)
class Window:
    """What is differentiated.

    Attributes:
        replay: the training.
        checkpoints: by step, the states that stand on disk, the window's first state
            among them.
        metrics: F of every target.
        measured: the steps after which F is measured, ascending; it is their mean.
        anew: or each is an F of its own, of the steps since the one before it.
        batch_size: rows of a step.
        plan: how the window is cut.
    """

    replay: Replay
    checkpoints: Mapping[int, Callable[[], State]]
    metrics: Sequence[Metric]
    measured: Sequence[int]
    batch_size: int
    plan: Plan
    anew: bool = False


def averaged(windows: Sequence[Callable[[], Window]], folder: Path) -> list[WayBack]:
    """The way back to the window's start of each of some trainings, in turn.

    Args:
        windows: each is made when its turn comes.
        folder: what is kept meanwhile; a killed run goes on in the training it was in.
    """
    ways = []
    for number, make in enumerate(windows):
        done = folder / f"{number}.safetensors"
        if not done.is_file():
            logger.info("metagradient: training %d of %d", number + 1, len(windows))
            _go_through(make(), folder / str(number), done)
        ways.append(WayBack.of(load_tensors(done)))
    return ways


def _go_through(window: Window, work: Path, done: Path) -> None:
    with work_folder(work, window.plan.identity) as folder:
        found = metagradient(window, folder).passed()
        Store(folder, window.replay.model.device).write(done, found.tensors())
        discard_work(work)


def metagradient(window: Window, folder: Path) -> WayBack:
    """The way back to the window's start.

    Args:
        folder: what is kept meanwhile; a killed run of the same window goes on from it.
    """
    store = Store(folder, window.replay.model.device)
    if not store.way_back.is_file():
        _there(window, store)
    return _back(window, store)


def _there(window: Window, store: Store) -> None:
    """Train to the states before segments where no checkpoint is, and keep them."""
    replay, plan = window.replay, window.plan
    left = [number for number in plan.there if not store.has(number + 1)]
    total, missing = (
        sum(len(plan.segments[n]) for n in some) for some in (plan.there, left)
    )
    progress = Progress("metagradient, there", total, "steps", done=total - missing)
    for number in left:
        replay.put(_before(number, window, store))
        gradients = []
        for step in plan.segments[number]:
            gradient = replay.step(step)
            if number in plan.kept:
                gradients.append(gradient)
            progress.update()
        if number in plan.kept:
            store.keep_gradients(number, gradients)
        store.keep_state(number + 1, replay.state())


def _before(number: int, window: Window, store: Store) -> State:
    """The state before a segment."""
    step = window.plan.segments[number].start
    known = window.checkpoints.get(step)
    return known() if known else store.state(number)


def _warn_if_another(window: Window, step: int) -> None:
    """Say so if the steps made again do not lead to the checkpoint there."""
    found = window.replay.state().weights
    if not torch.equal(found, window.checkpoints[step]().weights):
        logger.warning(
            "step %d: the training made again is not that of the checkpoints to the "
            "last bit (other threads, ranks or another machine)",
            step,
        )
    window.replay.put_weights(found)


def _back(window: Window, store: Store) -> WayBack:
    replay, plan = window.replay, window.plan
    segments = plan.segments
    if store.way_back.is_file():
        tensors = store.read(store.way_back)
        left = int(tensors.pop("left"))
        way = WayBack.of(tensors)
        logger.info("metagradient: resuming after segment %d, on the way back", left)
    else:
        left = len(segments)
        way = WayBack.begin(
            replay.state().weights,
            len(window.metrics),
            len(plan.steps),
            window.batch_size,
            len(window.measured),
        )
    backward = Backward(
        replay, window.metrics, plan.steps, window.measured, window.anew
    )
    done = sum(map(len, segments[left:]))
    progress = Progress("metagradient, back", len(plan.steps), "steps", done=done)
    for number in reversed(range(left)):
        replay.put(_before(number, window, store))
        kept = store.gradients(number) if number in plan.kept else None
        steps = list(replay.steps(segments[number], kept))
        if segments[number].stop in window.checkpoints:
            _warn_if_another(window, segments[number].stop)
        way = backward.through(steps, replay.state().weights, way, progress)
        if not way.norms.isfinite().all():
            raise HeadwaterError(
                f"metagradient: the adjoint is not finite before step "
                f"{segments[number].stop}; take a larger training.eps (1e-6), or a "
                "shorter window"
            )
        store.keep_way(number, way.tensors())
    return way
