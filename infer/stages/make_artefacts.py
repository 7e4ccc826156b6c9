"""The loop that makes the artefacts of a stage, shared with other processes that make the same ones."""

from collections.abc import Callable, Sequence

from infer.config import Stage
from infer.console import duration
from infer.context import Context
from infer.progress.views import ARTEFACTS
from infer.ranks import ranks
from infer.store import Artefact, Sharing


def make_stage(context: Context, stage: Stage, artefacts: Sequence[Artefact]) -> None:
    """Make those of ``artefacts``, parents first, that are not there yet, if ``stage`` was asked for; and say so."""
    if stage not in context.config.stages or not artefacts:
        return
    context.console.say(stage.value, style="bold")
    context.progress.stage = stage.value
    with context.progress.meter(f"{stage.value}, all", len(artefacts), ARTEFACTS, stage.value) as meter:
        if apart := [artefact for artefact in artefacts if ranks.world > 1 and artefact.sharing is Sharing.apart]:
            ranks.tell([artefact.signature for artefact in apart])
            make_apart(context, apart)
        make_in_turn(context, artefacts, meter.advance_to)
    account = context.account[stage]
    context.console.say(f"  {account.made} made, {account.reused} reused, {duration(account.seconds)}")


def make_apart(context: Context, artefacts: Sequence[Artefact]) -> None:
    """Make ``artefacts`` with the other ranks, which do the same: each makes whole ones, and all end together."""
    make_in_turn(context, artefacts)
    ranks.gathered(None)


def make_in_turn(
    context: Context, artefacts: Sequence[Artefact], on_progress: Callable[[int], None] = lambda done: None
) -> None:
    """Obtain ``artefacts``; those that other processes are making at the moment come last, so that several processes
    of the same settings share the work."""
    left, done = artefacts, 0
    while left:
        busy = []
        for artefact in left:
            if context.obtained_without_waiting(artefact):
                done += 1
                on_progress(done)
            else:
                busy.append(artefact)
        if len(busy) == len(left):
            context.obtain(busy[0])  # waits for its maker, or takes over from one that died
        left = busy
