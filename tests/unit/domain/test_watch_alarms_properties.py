"""Rules A in generated stories: readings, outages of them, pauses, restarts and scaling in a bake.

The referee is a few sums over what the story says. It knows nothing of how the clock of a bake is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.manual_cluster import ManualCluster
from tests.unit.domain.test_watch_alarms import FIRES, baking, read
from tripswitch.domain.rules.alarms import fail
from tripswitch.domain.values.alarms import NO_READING
from tripswitch.domain.values.sight import CURRENT, Standstill
from tripswitch.domain.values.states import RolloutStatus

BAKE = 120.0
STEPS = ("calm", "calm", "calm", "unread", "pause", "resume", "restart", "scale")


@dataclass
class Story:
    """A good revision in its bake, and how much of it has been seen."""

    world: ManualCluster
    seen: float = 0.0
    """Seconds for which alarms and pods were seen."""
    sees: bool = True
    """Whether they are since the last step."""
    paused: bool = False
    blind_until: float = 0.0
    told: list[str] = field(default_factory=list)

    def play(self, step: str) -> None:
        """Let 10 s pass, and then one thing happen."""
        world = self.world
        world.now += 10
        if self.sees:
            self.seen += 10
        self.told.append(step)
        getattr(self, step)()
        world.settle()
        world.heal("v2").settle()

    def calm(self) -> None:
        """The alarms are read, and none fires."""
        if self.paused:
            return
        read(self.world)
        self.sees = self.world.now >= self.blind_until

    def unread(self) -> None:
        """They cannot be read: since the last good reading nothing was seen."""
        if self.paused:
            return
        if self.sees:
            self.seen -= 10
        self.sees = False
        self.world.alarms = fail("refused", self.world.now, self.world.alarms)

    def pause(self) -> None:
        """A person pauses; nobody asks for alarms any more."""
        self.world.want(paused=True)
        self.world.alarms = NO_READING
        self.paused, self.sees = True, False

    def resume(self) -> None:
        """And resumes."""
        self.world.want(paused=False)
        self.paused = False
        self.calm()

    def restart(self) -> None:
        """Another process leads; the one before it ended right after the last step (V2)."""
        if self.sees:
            self.seen -= 10
        self.sees = False
        world = self.world
        self.blind_until = world.now + 40
        world.alarms = NO_READING
        stood = Standstill(world.now - 10, self.blind_until)
        world.sight = replace(CURRENT, standstills=(*world.sight.standstills, stood))

    def scale(self) -> None:
        """One pod more is wanted, and the alarms are read."""
        self.world.want(replicas=self.world.guarded.spec.replicas + 1)
        self.calm()


def begin() -> Story:
    """Return a story that begins with its bake."""
    story = Story(baking(seconds=int(BAKE)))
    assert story.world.rollout.bake is not None
    return story


@given(st.lists(st.sampled_from(STEPS), min_size=5, max_size=25))
@settings(max_examples=20, deadline=None)
def test_a_good_revision_completes_after_exactly_the_time_that_was_seen(steps: list[str]) -> None:
    story = begin()
    for step in steps:
        story.play(step)
        state = story.world.state()
        assert state in (RolloutStatus.IN_PROGRESS, RolloutStatus.SUCCESSFUL), story.told
        complete = state is RolloutStatus.SUCCESSFUL
        assert complete == (story.seen >= BAKE and not story.paused), (story.seen, story.told)
        if complete:
            return


@given(st.lists(st.sampled_from(STEPS), max_size=12))
@settings(max_examples=15, deadline=None)
def test_an_alarm_that_fires_in_a_bake_is_never_missed_and_trips_once(steps: list[str]) -> None:
    story = begin()
    for step in steps:
        story.play(step)
        if story.world.state() is RolloutStatus.SUCCESSFUL:
            return
    if story.paused:
        story.play("resume")
    if story.world.state() is RolloutStatus.SUCCESSFUL:
        return
    read(story.world, FIRES).settle()
    assert story.world.state() in (
        RolloutStatus.ROLLBACK_IN_PROGRESS,
        RolloutStatus.ROLLBACK_SUCCESSFUL,
    ), story.told
    assert story.world.events.count("AlarmTriggered") == 1
