"""Write recorded episodes as segments of whole episodes, while others are being recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, SpanEnd
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_variant import RobotVariant
from rwmu_train.reference.episode_buffer import RecordedEpisode
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


def recording_origin(note: str, variant: RobotVariant, seed: int) -> SegmentOrigin:
    """The sidecar's words about recordings in simulated robots."""
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
    origin: SegmentOrigin,
    *,
    rows_per_file: int,
) -> RecordingSummary:
    """Write a segment whenever whole episodes make up `rows_per_file` rows.

    A segment is formatted in another process while episodes go on coming in; memory holds the one
    that is being written and the one that is being filled. If recording is interrupted, the
    segments that were begun are whole, and rows that had no segment yet are lost.

    Raises:
        LogError: The folder can't be written to.
    """
    summary = RecordingSummary()
    waiting: list[RecordedEpisode] = []
    waiting_rows = 0
    with SegmentProcess(folder, spec, origin) as process:

        def hand_over() -> None:
            rows = np.concatenate([episode.rows for episode in waiting])
            process.write(rows, spans_of(waiting))
            summary.rows += len(rows)
            summary.episodes += len(waiting)
            summary.falls += sum(episode.fell for episode in waiting)
            waiting.clear()

        for episode in episodes:
            waiting.append(episode)
            waiting_rows += len(episode.rows)
            if waiting_rows >= rows_per_file:
                hand_over()
                waiting_rows = 0
        if waiting:
            hand_over()
        summary.paths = process.finish()
    return summary
