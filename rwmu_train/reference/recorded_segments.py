"""Write recorded episodes as segments of whole episodes, while others are being recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, SpanEnd
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_variant import RobotVariant
from rwmu_train.reference.collector import Collector
from rwmu_train.reference.episode_buffer import RecordedEpisode
from rwmu_train.reference.recording import RecordingSettings
from rwmu_train.reference.segment_process import SegmentProcess


@dataclass
class RecordingSummary:
    """What was written."""

    rows: int = 0
    episodes: int = 0
    falls: int = 0
    paths: list[Path] = field(default_factory=list)


def spans_of(episodes: Iterable[RecordedEpisode]) -> list[EpisodeSpan]:
    """Stretches of constant command of episodes whose rows follow one another."""
    spans: list[EpisodeSpan] = []
    begin = 0
    for episode in episodes:
        changed = (episode.command[1:] != episode.command[:-1]).any(axis=1)
        last_rows = np.append(np.flatnonzero(changed), len(changed)).tolist()
        first_rows = [0, *(row + 1 for row in last_rows[:-1])]
        for first, last in zip(first_rows, last_rows, strict=True):
            end: SpanEnd = "terminated" if episode.fell else "truncated"
            vx, vy, wz = (float(value) for value in episode.command[last])
            spans.append(
                EpisodeSpan(
                    begin + first,
                    begin + last,
                    end if last == last_rows[-1] else "continues",
                    (vx, vy, wz),
                )
            )
        begin += len(episode.rows)
    return spans


def recording_origins(
    collectors: Sequence[Collector], settings: RecordingSettings
) -> list[SegmentOrigin]:
    """The sidecars' words about a recording in simulated robots.

    Args:
        collectors: Who act.
        settings: What is recorded.
    """
    noise, seed = settings.action_noise, settings.seed
    return [
        replace(
            recording_origin(
                f"{who.name}; action noise {noise}; seed {seed}", settings.variant, seed
            ),
            generation=who.generation,
            policy=who.policy,
        )
        for who in collectors
    ]


def recording_origin(note: str, variant: RobotVariant, seed: int) -> SegmentOrigin:
    """The sidecar's words about a simulated robot."""
    return SegmentOrigin(
        source="sim",
        torque_source="applied joint torque of the simulated drive",
        contact_source="simulated contact force above 1 N",
        base_velocity_source="simulated velocity of the base's centre of mass",
        note=note,
        variant={**variant.to_dict(), "seed": seed},
    )


def write_recording(
    episodes: Iterable[RecordedEpisode],
    spec: RobotSpec,
    folder: Path,
    origins: Sequence[SegmentOrigin],
    *,
    rows_per_file: int,
) -> RecordingSummary:
    """Write segments of whole episodes, each of one behaviour, so that its sidecar says who acted.

    As soon as `rows_per_file` rows wait, the behaviour that has most of them is written. A segment
    is formatted in another process while episodes go on coming in; memory holds what waits and
    the one that is being written. If recording is interrupted, the segments that were begun are
    whole, and rows that had no segment yet are lost.

    Args:
        episodes: Of robots that take behaviours in turn.
        spec: The robot.
        folder: Where segments go.
        origins: One for each behaviour.
        rows_per_file: Rows that may wait.

    Raises:
        LogError: The folder can't be written to.
    """
    summary = RecordingSummary()
    waiting: list[list[RecordedEpisode]] = [[] for _ in origins]
    waiting_rows = [0] * len(origins)
    with SegmentProcess(folder, spec) as process:

        def hand_over(behaviour: int) -> None:
            own = waiting[behaviour]
            process.write(
                np.concatenate([episode.rows for episode in own]),
                spans_of(own),
                origins[behaviour],
            )
            summary.rows += waiting_rows[behaviour]
            summary.episodes += len(own)
            summary.falls += sum(episode.fell for episode in own)
            waiting_rows[behaviour] = 0
            own.clear()

        for episode in episodes:
            behaviour = episode.robot % len(origins)
            waiting[behaviour].append(episode)
            waiting_rows[behaviour] += len(episode.rows)
            if sum(waiting_rows) >= rows_per_file:
                hand_over(waiting_rows.index(max(waiting_rows)))
        for behaviour, own in enumerate(waiting):
            if own:
                hand_over(behaviour)
        summary.paths = process.finish()
    return summary
