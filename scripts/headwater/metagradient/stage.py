"""The whole: there through the window, and back; it goes on where it was killed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.logs import logger
from headwater.metagradient.backward import Backward, WayBack
from headwater.metagradient.metric import Metric
from headwater.metagradient.replay import Replay
from headwater.metagradient.storage import Plan, Store
from headwater.progress import Progress


@dataclass(frozen=True)
class Window:
    """What is differentiated.

    Attributes:
        replay: the training, at the window's start.
        metrics: F of every target.
        measured: the steps after which F is measured, ascending; it is their mean.
        batch_size: rows of a step.
        plan: how the window is cut.
    """

    replay: Replay
    metrics: Sequence[Metric]
    measured: Sequence[int]
    batch_size: int
    plan: Plan


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
    """Train through the window, keeping what the plan says."""
    replay, plan = window.replay, window.plan
    segments = plan.segments
    reached = store.reached(len(segments))
    if reached is None:
        reached = 0
        store.keep_state(0, replay.state())
    else:
        logger.info(
            "metagradient: resuming before segment %d, on the way there", reached
        )
        replay.put(store.state(reached))
    done = sum(map(len, segments[:reached]))
    progress = Progress("metagradient, there", len(plan.steps), "steps", done=done)
    for number in range(reached, len(segments)):
        if plan.is_kept(number):
            gradients = []
            for step in replay.steps(segments[number]):
                gradients.append(step.update.gradient)
                progress.update()
            store.keep_gradients(number, gradients)
        else:
            for step_number in segments[number]:
                replay.step(step_number)
                progress.update()
        store.keep_state(number + 1, replay.state())


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
    backward = Backward(replay, window.metrics, plan.steps, window.measured)
    done = sum(map(len, segments[left:]))
    progress = Progress("metagradient, back", len(plan.steps), "steps", done=done)
    for number in reversed(range(left)):
        replay.put(store.state(number))
        kept = store.gradients(number) if plan.is_kept(number) else None
        steps = list(replay.steps(segments[number], kept))
        way = backward.through(steps, replay.state().weights, way, progress)
        if not way.norms.isfinite().all():
            raise HeadwaterError(
                f"metagradient: the adjoint is not finite before step "
                f"{segments[number].stop}; take a larger training.eps (1e-6), or a "
                "shorter window"
            )
        store.keep_way(number, way.tensors())
    return way
