"""Loop that makes the artefacts of a stage, and divides them among processes that make the same ones."""

from collections.abc import Callable, Sequence

from infer.config import Stage
from infer.console import duration
from infer.context import Context
from infer.progress.views import ARTEFACTS
from infer.ranks import ranks
from infer.store import Artefact, Sharing


def make_stage(context: Context, stage: Stage, artefacts: Sequence[Artefact]) -> None:
    """Make those of ``artefacts`` that do not exist yet, if ``stage`` was requested, and print their number.

    Parents come before children in ``artefacts``.
    """
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
    """Make ``artefacts`` together with the other ranks, which call the same function; all return at the same time.

    Each artefact is made by one rank.
    """
    make_in_turn(context, artefacts)
    ranks.gathered(None)


def make_in_turn(
    context: Context, artefacts: Sequence[Artefact], on_progress: Callable[[int], None] = lambda done: None
) -> None:
    """Obtain ``artefacts``. Those that other processes are making at the moment come last, so that several processes
    with the same settings share the work."""
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
            context.obtain(busy[0])  # waits for the process that makes it, or makes it here if that was killed
        left = busy
