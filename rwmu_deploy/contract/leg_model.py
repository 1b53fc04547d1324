"""Masses, joints and feet of a robot's legs, read from its MJCF without MuJoCo.

A robot's computer has no simulator, and what a leg weighs and how long it is it has to know all
the same, where contact is estimated from torques. J = joints, in RobotSpec order. Of a robot that
is more than its legs, the links that no foot hangs on are left out.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec, robot_folder

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
_OTHER_TURNS = ("euler", "axisangle", "xyaxes", "zaxis")


@dataclass(frozen=True)
class Link:
    """A body that a joint moves."""

    joint: int
    """Index in RobotSpec order."""
    parent: int | None
    """Index of the link that carries it; None: the base."""
    origin_m: FloatArray
    """Of the joint, in the parent's frame, shape (3,)."""
    turn: FloatArray
    """The link's frame in the parent's, in the zero pose; a rotation, shape (3, 3)."""
    axis: FloatArray
    """Unit vector, shape (3,)."""
    mass_kg: float
    com_m: FloatArray
    """In the link's own frame, shape (3,)."""
    inertia_kgm2: FloatArray
    """About the centre of mass, in the link's own frame, shape (3, 3)."""


@dataclass(frozen=True)
class LinkArrays:
    """All L links at once: a control tick has no time to go through them one by one."""

    joint: IndexArray
    """Shape (L,)."""
    parent: IndexArray
    """-1: the base. Shape (L,)."""
    levels: tuple[IndexArray, ...]
    """Links that as many joints carry, those next to the base first."""
    carried_by: NDArray[np.bool_]
    """Row l says which links lie between the base and link l, itself too; shape (L, L)."""
    origin_m: FloatArray
    """Shape (L, 3), as all that follows are a Link's, stacked."""
    turn: FloatArray
    axis: FloatArray
    axis_cross: FloatArray
    """Matrices that take a vector to the cross product of its axis with it, shape (L, 3, 3)."""
    mass_kg: FloatArray
    com_m: FloatArray
    inertia_kgm2: FloatArray


@dataclass(frozen=True)
class LegModel:
    """The legs of a robot."""

    links: tuple[Link, ...]
    """Parents before children; only those that carry a foot or hang on one that does."""
    foot_link: tuple[int, ...]
    """Link of each foot, in RobotSpec order."""
    foot_m: FloatArray
    """The feet in their links' frames, shape (F, 3)."""
    damping_nms_per_rad: FloatArray
    """Viscous damping of the joints, shape (J,)."""
    armature_kgm2: FloatArray
    """Rotor inertia, shape (J,)."""
    total_mass_kg: float
    """Of the whole robot."""

    @cached_property
    def arrays(self) -> LinkArrays:
        """The links, stacked."""
        links = self.links
        carried_by = np.eye(len(links), dtype=bool)
        for index, link in enumerate(links):
            if link.parent is not None:
                carried_by[index] |= carried_by[link.parent]
        depth = carried_by.sum(axis=1)
        return LinkArrays(
            joint=np.array([link.joint for link in links]),
            parent=np.array([-1 if link.parent is None else link.parent for link in links]),
            levels=tuple(np.flatnonzero(depth == level) for level in np.unique(depth)),
            carried_by=carried_by,
            origin_m=np.array([link.origin_m for link in links]),
            turn=np.array([link.turn for link in links]),
            axis=np.array([link.axis for link in links]),
            axis_cross=np.array([np.cross(np.eye(3), link.axis) for link in links]),
            mass_kg=np.array([link.mass_kg for link in links]),
            com_m=np.array([link.com_m for link in links]),
            inertia_kgm2=np.array([link.inertia_kgm2 for link in links]),
        )


def load_leg_model(spec: RobotSpec) -> LegModel:
    """Read it from the robot's MJCF.

    Raises:
        RobotSpecError: The file can't be read, lacks a joint or a foot of the spec, or has a body
            that is turned against its parent in a way that is not read.
    """
    path = robot_folder(spec.name) / spec.simulation.mjcf
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise RobotSpecError(f"{path} can't be read: {error}", fix="Restore the file.") from error
    return _Reader(spec, path, root).model()


class _Reader:
    def __init__(self, spec: RobotSpec, path: Path, root: ElementTree.Element) -> None:
        self._spec, self._path, self._root = spec, path, root
        self._links: list[Link] = []
        self._feet: dict[str, tuple[int, FloatArray]] = {}
        default = root.find("default/joint")
        self._default = {} if default is None else default.attrib
        self._damping, self._armature = np.zeros(spec.joint_count), np.zeros(spec.joint_count)

    def model(self) -> LegModel:
        for body in self._root.iterfind("worldbody/body"):
            self._read(body, None, np.zeros(3))
        spec = self._spec
        known = {link.joint for link in self._links}
        missing = [name for i, name in enumerate(spec.joint_names) if i not in known]
        missing += [name for name in spec.foot_names if name not in self._feet]
        if missing:
            raise RobotSpecError(
                f"{self._path} lacks {', '.join(missing)}", fix="Name them there as in robot.yaml."
            )
        feet = [self._feet[name] for name in spec.foot_names]
        kept = self._of_legs([link for link, _ in feet])
        return LegModel(
            links=tuple(self._with_parent_in(kept, index) for index in kept),
            foot_link=tuple(kept.index(link) for link, _ in feet),
            foot_m=np.array([place for _, place in feet]),
            damping_nms_per_rad=self._damping,
            armature_kgm2=self._armature,
            total_mass_kg=sum(float(e.get("mass", 0.0)) for e in self._root.iter("inertial")),
        )

    def _of_legs(self, feet: list[int]) -> list[int]:
        """Links from the base to a foot, and what hangs on them, in order."""
        legs: set[int] = set()
        for foot in feet:
            above: int | None = foot
            while above is not None:
                legs.add(above)
                above = self._links[above].parent
        for index, link in enumerate(self._links):
            if link.parent in legs:
                legs.add(index)
        return sorted(legs)

    def _with_parent_in(self, kept: list[int], index: int) -> Link:
        link = self._links[index]
        return replace(link, parent=None if link.parent is None else kept.index(link.parent))

    def _read(self, body: ElementTree.Element, parent: int | None, offset_m: FloatArray) -> None:
        turned = [name for name in _OTHER_TURNS if name in body.attrib]
        if "quat" in body.attrib and body.find("joint") is None:
            turned = ["quat, without a joint"]
        if turned:
            raise RobotSpecError(
                f"{self._path}: body {body.get('name')} is turned ({turned[0]})",
                fix="Turn only bodies with joints, and by a quat.",
            )
        # The root is placed in the world; everything else in its parent.
        place = offset_m + _vector(body.get("pos")) * (body.find("freejoint") is None)
        joint = body.find("joint")
        index = parent
        if joint is not None:
            index = len(self._links)
            self._links.append(self._link(joint, body, parent, place))
            place = np.zeros(3)
        for site in body.iterfind("site"):
            name = (site.get("name") or "").removesuffix("_touch")
            if name in self._spec.foot_names and index is not None:
                self._feet[name] = (index, place + _vector(site.get("pos")))
        for child in body.iterfind("body"):
            self._read(child, index, place)

    def _link(
        self,
        joint: ElementTree.Element,
        body: ElementTree.Element,
        parent: int | None,
        origin_m: FloatArray,
    ) -> Link:
        inertial = body.find("inertial")
        name = joint.get("name") or ""
        if name not in self._spec.joint_names or inertial is None or "pos" in joint.attrib:
            raise RobotSpecError(
                f"{self._path}: joint '{name}' is not one of robot.yaml, or its body has no "
                "inertial, or lies elsewhere than its body",
                fix="Name joints as in robot.yaml, and give each body its inertial.",
            )
        index = self._spec.joint_names.index(name)
        found = {**self._default, **joint.attrib}
        self._damping[index] = float(found.get("damping", 0.0))
        self._armature[index] = float(found.get("armature", 0.0))
        axis = _vector(joint.get("axis") or "0 0 1")
        return Link(
            joint=index,
            parent=parent,
            origin_m=origin_m,
            turn=_rotation(body.get("quat")),
            axis=axis / np.linalg.norm(axis),
            mass_kg=float(inertial.get("mass", 0.0)),
            com_m=_vector(inertial.get("pos")),
            inertia_kgm2=_tensor(inertial),
        )


def _vector(text: str | None) -> FloatArray:
    return np.zeros(3) if text is None else np.array([float(word) for word in text.split()])


def _rotation(quaternion_wxyz: str | None) -> FloatArray:
    if quaternion_wxyz is None:
        return np.eye(3)
    w, x, y, z = (quaternion := _vector(quaternion_wxyz)) / np.linalg.norm(quaternion)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + 2.0 * (w * cross + cross @ cross)


def _tensor(inertial: ElementTree.Element) -> FloatArray:
    full, diagonal = inertial.get("fullinertia"), inertial.get("diaginertia")
    if full is not None:
        xx, yy, zz, xy, xz, yz = _vector(full)
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return np.diag(_vector(diagonal))
