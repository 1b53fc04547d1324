"""The one table of CSV columns: names, units, slices.

A row is `state | action | extension | contact | termination`, one row a control step (0.02 s), no
header. A robot of 12 joints and 8 contacts has 45 + 12 + 0 + 8 + 1 = 66 columns; the layout is
that of the public offline trainer (state: RWM, arXiv:2501.10100, table S2; privileged part: S3).
Row t holds state_t and the action that PRODUCED state_t.
S = state size, A = action size, J = joints.
"""

from __future__ import annotations

from dataclasses import dataclass

from rwmu_deploy.contract.robot_spec import RobotSpec


@dataclass(frozen=True)
class ColumnBlock:
    """Columns that belong together."""

    name: str
    """Quantity with its unit, as in `joint_velocity_radps`."""
    start: int
    """First column."""
    labels: tuple[str, ...]
    """One label a column: an axis, a joint or a body."""
    unit: str

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def slice(self) -> slice:
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True)
class TransitionColumns:
    """Blocks of one robot's CSV, in file order.

    The state blocks start at column 0, so their slices also index a state vector, shape (..., S).
    """

    base_linear_velocity_mps: ColumnBlock
    """Velocity of the base's centre of mass, base frame."""
    base_angular_velocity_radps: ColumnBlock
    """Base frame."""
    projected_gravity: ColumnBlock
    """Unit vector of gravity in the base frame; (0, 0, -1) upright."""
    joint_position_offset_rad: ColumnBlock
    """Joint position minus default position."""
    joint_velocity_radps: ColumnBlock
    joint_torque_nm: ColumnBlock
    action: ColumnBlock
    """Applied action: (position target - default position) / action scale."""
    extension: ColumnBlock
    """Privileged real values, each with its unit in its name."""
    contact: ColumnBlock
    """1 in contact, 0 not."""
    termination: ColumnBlock
    """1 on the row in which the robot fell, else 0."""

    @classmethod
    def of(cls, spec: RobotSpec) -> TransitionColumns:
        """The columns of a robot's CSV files."""
        joints = spec.joint_names
        axes = ("x", "y", "z")
        layout: list[tuple[str, tuple[str, ...], str]] = [
            ("base_linear_velocity_mps", axes, "m/s"),
            ("base_angular_velocity_radps", axes, "rad/s"),
            ("projected_gravity", axes, "1"),
            ("joint_position_offset_rad", joints, "rad"),
            ("joint_velocity_radps", joints, "rad/s"),
            ("joint_torque_nm", joints, "N m"),
            ("action", joints, "1"),
            ("extension", spec.extension_names, "as named"),
            ("contact", spec.contact_names, "0 or 1"),
            ("termination", ("fell",), "0 or 1"),
        ]
        blocks: dict[str, ColumnBlock] = {}
        start = 0
        for name, labels, unit in layout:
            blocks[name] = ColumnBlock(name, start, labels, unit)
            start += len(labels)
        return cls(**blocks)

    @property
    def blocks(self) -> tuple[ColumnBlock, ...]:
        """All blocks in file order."""
        return tuple(vars(self).values())

    @property
    def state_blocks(self) -> tuple[ColumnBlock, ...]:
        """The blocks that make up the state."""
        return tuple(block for block in self.blocks if block.start < self.action.start)

    @property
    def state(self) -> slice:
        return slice(0, self.action.start)

    @property
    def state_size(self) -> int:
        return self.action.start

    @property
    def count(self) -> int:
        """Columns in a row."""
        return self.termination.start + self.termination.size

    def label(self, column: int) -> str:
        """Name of a column for messages: "joint_velocity_radps[LF_HAA]"."""
        for block in self.blocks:
            if block.start <= column < block.start + block.size:
                return f"{block.name}[{block.labels[column - block.start]}]"
        return f"column {column}"
