"""Whether the numbers and names of a RobotSpec fit one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rwmu_deploy.contract.document_reader import DocumentReader

if TYPE_CHECKING:
    from rwmu_deploy.contract.robot_spec import RobotSpec


def refuse_nonsense(spec: RobotSpec, reader: DocumentReader) -> None:
    """Do nothing where a spec makes sense.

    Raises:
        RobotSpecError: It names the first key that doesn't.
    """
    if not spec.joints:
        raise reader.error("joints", [], "at least one joint")
    if len(set(spec.joint_names)) != spec.joint_count:
        raise reader.error("joints", spec.joint_names, "a list in which every name stands once")
    for key in ("control_dt_s", "link_timeout_s"):
        if not getattr(spec, key) > 0.0:
            raise reader.error(key, getattr(spec, key), "a number above 0")
    for name, limit in vars(spec.safety).items():
        if not limit > 0.0:
            raise reader.error(f"safety.{name}", limit, "a number above 0 (no check can be off)")
    for hold, damp in (
        ("sensor_age_hold_s", "sensor_age_damp_s"),
        ("joint_outside_hold_rad", "joint_outside_damp_rad"),
    ):
        limit, worse = getattr(spec.safety, hold), getattr(spec.safety, damp)
        if not limit <= worse:
            raise reader.error(f"safety.{hold}", limit, f"up to safety.{damp}, which is {worse}")
    for joint in spec.joints:
        if not joint.lower_rad < joint.upper_rad:
            raise reader.error(
                f"joint {joint.name} lower_rad", joint.lower_rad, f"below {joint.upper_rad}"
            )
        if not joint.lower_rad <= joint.default_position_rad <= joint.upper_rad:
            raise reader.error(
                f"joint {joint.name} default_position_rad",
                joint.default_position_rad,
                f"{joint.lower_rad} to {joint.upper_rad}",
            )
        for field in ("velocity_limit_radps", "effort_limit_nm", "kp_nm_per_rad", "action_scale"):
            if not getattr(joint, field) > 0.0:
                raise reader.error(
                    f"joint {joint.name} {field}", getattr(joint, field), "a number above 0"
                )
        if not joint.kd_nms_per_rad >= 0.0:
            raise reader.error(f"joint {joint.name} kd_nms_per_rad", joint.kd_nms_per_rad, "0 up")
    for key, names, allowed in (
        ("foot_names", spec.foot_names, spec.contact_names),
        ("posture_joints", spec.posture_joints, spec.joint_names),
    ):
        strangers = [name for name in names if name not in allowed]
        if strangers:
            raise reader.error(key, strangers, f"names among {allowed}")
    low, high = spec.simulation.reset_joint_factor
    if not low <= high:
        raise reader.error("simulation.reset_joint_factor", (low, high), "a range, lower first")
    for key in ("reset_velocity", "hoist_s"):
        if not getattr(spec.simulation, key) >= 0.0:
            raise reader.error(f"simulation.{key}", getattr(spec.simulation, key), "0 up")
