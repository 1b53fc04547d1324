"""What a variant says acts in MuJoCo, in both simulators alike."""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

import mujoco
import numpy as np
import pytest

from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.errors import ConfigError, RobotSpecError
from rwmu_deploy.contract.robot_spec import load_robot_spec, robot_folder
from rwmu_deploy.contract.robot_state import damping_command, position_command
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL, RobotVariant
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)
CALM = ResetRange(base_velocity=0.0, joint_factor=(1.0, 1.0))
MJCF = str(robot_folder("anymal_d") / SPEC.simulation.mjcf)
DAMPED = RobotVariant("damped", joint_damping_factor=1.4)
LATE = RobotVariant("late", actuation_delay_s=0.02)
BIASED = RobotVariant("biased", encoder_bias_rad=0.02)
WEAK = RobotVariant("weak", weak_actuator_strength=0.5)
LOADED = RobotVariant("loaded", payload_mass_kg=3.0, payload_edge_m=0.12)


def targets(count: int, seed: int = 0) -> np.ndarray:
    """A new target about the default pose every control step, shape (count, J)."""
    rng = np.random.default_rng(seed)
    return SPEC.default_position_rad + 0.15 * rng.standard_normal((count, SPEC.joint_count))


def mass_matrix(mj: mujoco.MjModel) -> np.ndarray:
    data, full = mujoco.MjData(mj), np.zeros((mj.nv, mj.nv))
    mujoco.mj_forward(mj, data)
    mujoco.mj_fullM(mj, data, full)
    return full


def test_the_field_robot_weighs_three_kilograms_more_in_both_simulators() -> None:
    assert SimulatedRobot(SPEC, variant=FIELD).total_mass_kg == pytest.approx(54.63574, abs=1e-9)
    with RobotBatch(SPEC, 2, seed=0, variant=FIELD) as robots:
        assert robots.model.total_mass_kg == pytest.approx(54.63574, abs=1e-9)


def test_the_payload_shifts_the_base_forward_and_up() -> None:
    nominal, field = (RobotModel(SPEC, variant).mj.body("base") for variant in (NOMINAL, FIELD))
    shift = field.ipos - nominal.ipos
    # 3 kg of 29.45958 kg, from the base's centre of mass to the payload's.
    expected = 3.0 / 29.45958 * (np.array([0.28, 0.0, 0.204]) - nominal.ipos)
    np.testing.assert_allclose(shift, expected, atol=1e-12)
    np.testing.assert_allclose(shift, [0.0301, 0.0, 0.0219], atol=2e-4)


def test_the_payload_is_as_heavy_to_turn_as_a_cube_that_mujoco_attaches_itself() -> None:
    mjcf = mujoco.MjSpec.from_file(MJCF)
    mjcf.body("base").add_body(
        name="payload",
        pos=[0.28, 0.0, 0.204],
        ipos=[0.0, 0.0, 0.0],
        mass=3.0,
        inertia=[3.0 * 0.12**2 / 6.0] * 3,
        explicitinertial=True,
    )
    expected = mass_matrix(mjcf.compile())
    np.testing.assert_allclose(mass_matrix(RobotModel(SPEC, LOADED).mj), expected, atol=1e-9)


def test_a_g1_carries_it_on_its_back_and_a_robot_without_a_place_for_it_is_named(
    tmp_path, monkeypatch
) -> None:
    spec = load_robot_spec("g1")
    nominal, loaded = (RobotModel(spec, variant).mj for variant in (NOMINAL, LOADED))
    # 3 kg of 10.817 kg of the torso; the cube's middle is half an edge behind the chest's back.
    before, after = (mj.body("torso_link").ipos for mj in (nominal, loaded))
    expected = 3.0 / 10.817 * (np.array([-0.065 - 0.06, 0.0, 0.2]) - before)
    np.testing.assert_allclose(after - before, expected, atol=1e-8)
    assert loaded.body("pelvis").mass == nominal.body("pelvis").mass

    bare = tmp_path / spec.name
    bare.mkdir()
    mjcf = (robot_folder("g1") / spec.simulation.mjcf).read_text()
    (bare / spec.simulation.mjcf).write_text(mjcf.replace('name="payload"', 'name="hook"'))
    monkeypatch.setattr("rwmu_deploy.simulation.robot_model.robot_folder", lambda name: bare)
    RobotModel(spec)
    with pytest.raises(RobotSpecError, match="payload"):
        RobotModel(spec, LOADED)


def test_armature_adds_a_fifth_to_every_joint_and_nothing_to_the_base() -> None:
    heavier = RobotModel(SPEC, RobotVariant("heavy", armature_factor=1.2))
    more = mass_matrix(heavier.mj) - mass_matrix(RobotModel(SPEC).mj)
    expected = np.zeros(18)
    expected[heavier.joint_qvel] = 0.2 * 0.1
    np.testing.assert_allclose(more, np.diag(expected), atol=1e-12)


def test_joint_damping_is_two_fifths_more() -> None:
    model = RobotModel(SPEC, DAMPED)
    data = mujoco.MjData(model.mj)
    data.qvel[model.joint_qvel] = 2.0
    mujoco.mj_forward(model.mj, data)
    np.testing.assert_allclose(data.qfrc_passive[model.joint_qvel], -1.4 * 4.5 * 2.0)


def test_the_controllers_gains_are_not_the_variants_matter() -> None:
    field, nominal = (RobotModel(SPEC, variant).mj for variant in (FIELD, NOMINAL))
    np.testing.assert_array_equal(field.actuator_gainprm, nominal.actuator_gainprm)
    np.testing.assert_array_equal(field.actuator_biasprm, nominal.actuator_biasprm)


def test_every_contact_of_a_robot_has_the_friction_that_it_drew() -> None:
    for seed in range(4):
        robot = SimulatedRobot(SPEC, variant=FIELD, seed=seed)
        (drawn,) = FIELD.draw(1, 12, seed).ground_friction  # type: ignore[misc]
        robot.advance(1.0)
        assert robot._data.ncon == 4
        assert robot._data.contact.friction[:, 0].tolist() == [drawn] * 4
        robot._data.qpos[3:7] = [0.0, 1.0, 0.0, 0.0]  # on its back: not only feet touch
        robot.advance(2.0)
        assert robot.fell
        assert set(robot._data.contact.friction[:, 0]) == {drawn}


def test_many_robots_share_few_models_by_their_friction() -> None:
    with RobotBatch(SPEC, 200, seed=0, variant=FIELD) as robots:
        assert len({id(model) for model in robots._models}) == 9
        found = [model.geom("LF_foot").friction[0] for model in robots._models]
        np.testing.assert_array_equal(found, robots.drawn.ground_friction)  # type: ignore[arg-type]


def test_a_slippery_robot_slides_further() -> None:
    distance = []
    for friction in (0.5, 0.9):
        variant = RobotVariant("slippery", ground_friction=(friction, friction))
        with RobotBatch(SPEC, 1, seed=0, reset_range=CALM, variant=variant) as robots:
            for _ in range(50):
                robots.step(np.zeros((1, 12)))
            robots.push(np.array([0]), np.array([[0.0, 1.5]]))
            before = robots.base_position_m
            for _ in range(50):
                robots.step(np.zeros((1, 12)))
            distance.append(np.linalg.norm(robots.base_position_m - before))
    assert distance[0] > distance[1] + 0.01


def test_a_delayed_command_acts_exactly_four_physics_steps_later() -> None:
    command = position_command(SPEC, SPEC.default_position_rad + 0.2)
    late, prompt = SimulatedRobot(SPEC, variant=LATE), SimulatedRobot(SPEC)
    late.send(command)
    torques = []
    for step in range(1, 25):
        if step == 5:
            prompt.send(command)
        late.advance(0.005 * step)
        prompt.advance(0.005 * step)
        torques.append(prompt.latest_state().joint_torque_nm)
        np.testing.assert_array_equal(late.latest_state().joint_torque_nm, torques[-1])
    assert np.abs(torques[3]).max() < 1.0
    np.testing.assert_allclose(torques[4], 85.0 * 0.2, atol=1.0)


def test_delayed_robots_of_a_batch_do_what_prompt_ones_are_told_a_control_step_later() -> None:
    actions = action_from_target(SPEC, targets(20))
    options = {"seed": 0, "reset_range": CALM}
    with (
        RobotBatch(SPEC, 1, variant=LATE, **options) as late,
        RobotBatch(SPEC, 1, **options) as prompt,
    ):
        for step in range(20):
            delayed = late.step(actions[step : step + 1]).true_state
            told = actions[step - 1 : step] if step else np.zeros((1, 12))
            np.testing.assert_array_equal(delayed, prompt.step(told).state)


def test_a_command_before_a_reset_never_acts_after_it() -> None:
    with RobotBatch(SPEC, 2, seed=0, reset_range=CALM, variant=LATE) as robots:
        robots.step(np.full((2, 12), 0.5))
        robots.reset(np.array([0]))
        torque = robots.step(np.zeros((2, 12))).state[:, COLUMNS.joint_torque_nm.slice]
        assert np.abs(torque[0]).max() < 1.0
        assert np.abs(torque[1]).max() > 5.0
    single = SimulatedRobot(SPEC, variant=LATE)
    single.send(position_command(SPEC, SPEC.default_position_rad + 0.3))
    single.advance(0.01)
    single.reset()
    single.advance(0.1)
    assert np.abs(single.latest_state().joint_torque_nm).max() < 10.0


def test_the_link_times_out_counted_from_the_late_arrival() -> None:
    robot = SimulatedRobot(SPEC, variant=LATE)
    robot.send(position_command(SPEC, SPEC.default_position_rad + 0.3))
    last_held_s = 0.02 + SPEC.link_timeout_s + 0.005
    robot.advance(last_held_s)
    state = robot.latest_state()
    expected = 85.0 * (SPEC.default_position_rad + 0.3 - state.joint_position_rad)
    np.testing.assert_allclose(state.joint_torque_nm, expected, atol=8.0)
    assert np.abs(state.joint_torque_nm + 5.0 * state.joint_velocity_radps).max() > 10.0
    before = state.joint_velocity_radps
    robot.advance(last_held_s + 0.005)
    np.testing.assert_allclose(robot.latest_state().joint_torque_nm, -5.0 * before, atol=0.5)


def test_a_biased_encoder_misleads_whoever_reads_it_and_the_drive() -> None:
    bias = BIASED.draw(1, 12, seed=3).encoder_bias_rad[0]
    robot = SimulatedRobot(SPEC, variant=BIASED, seed=3)
    measured = robot.latest_state().joint_position_rad
    np.testing.assert_allclose(measured, SPEC.default_position_rad + bias, atol=1e-15)
    np.testing.assert_array_equal(robot.true_state().joint_position_rad, SPEC.default_position_rad)
    robot.advance(0.005)
    # It stands where it should, but the drive believes itself off by the bias.
    np.testing.assert_allclose(robot.latest_state().joint_torque_nm, -85.0 * bias, atol=1e-9)


def test_a_biased_batch_measures_its_own_bias_of_every_robot() -> None:
    offset = COLUMNS.joint_position_offset_rad.slice
    with RobotBatch(SPEC, 3, seed=3, reset_range=CALM, variant=BIASED) as robots:
        np.testing.assert_allclose(robots.state()[:, offset], robots.drawn.encoder_bias_rad)
        outcome = robots.step(np.zeros((3, 12)))
        error = outcome.state[:, offset] - outcome.true_state[:, offset]
        np.testing.assert_allclose(error, robots.drawn.encoder_bias_rad, atol=1e-15)
        (one,) = robots.state(np.array([1]))[:, offset] - robots.drawn.encoder_bias_rad[1:2]
        np.testing.assert_allclose(one, outcome.true_state[1, offset], atol=1e-15)


def test_a_weak_actuator_has_half_the_torque_and_the_others_all_of_it() -> None:
    for seed in range(3):
        (strength,) = WEAK.draw(1, 12, seed).actuator_strength
        assert sorted(strength) == [0.5] + 11 * [1.0]
        # At rest in the default pose: kp times 0.2 rad, and far beyond the effort limit.
        for offset_rad, torque_nm in ((0.2, 85.0 * 0.2), (-5.0, -80.0)):
            robot = SimulatedRobot(SPEC, variant=WEAK, seed=seed)
            robot.send(position_command(SPEC, SPEC.default_position_rad + offset_rad))
            robot.advance(0.005)
            found = robot.latest_state().joint_torque_nm
            np.testing.assert_allclose(found, strength * torque_nm, rtol=1e-9)


def test_a_weak_actuator_damps_by_half() -> None:
    (strength,) = WEAK.draw(1, 12, seed=0).actuator_strength
    robot = SimulatedRobot(SPEC, variant=WEAK)
    robot._data.qvel[robot._model.joint_qvel] = 1.0
    robot.send(damping_command(SPEC, SPEC.default_position_rad))
    robot.advance(0.005)
    damping_nm = -SPEC.safety.damping_kd_nms_per_rad * strength
    np.testing.assert_allclose(robot.latest_state().joint_torque_nm, damping_nm, rtol=1e-9)


def test_in_a_batch_the_joints_take_turns_to_be_weak_and_their_largest_torque_is_half() -> None:
    with RobotBatch(SPEC, 13, seed=0, reset_range=CALM, variant=WEAK) as robots:
        strength = robots.drawn.actuator_strength
        assert (strength[:12] == 0.5).sum(axis=0).tolist() == [1] * 12
        np.testing.assert_array_equal(strength[12], strength[0])
        assert len({id(model) for model in robots._models}) == 12
        # In the air, joints at +1.5 rad and told to go to -1.5 rad: those that may saturate.
        robots._physics[:, robots._qpos.start + 2] = 3.0
        qpos = robots._physics[:, robots._qpos]
        qpos[:, robots.model.joint_qpos] = SPEC.default_position_rad + 1.5
        action = action_from_target(SPEC, SPEC.default_position_rad - 1.5)
        torque_nm = robots.step(np.tile(action, (13, 1))).state[:, COLUMNS.joint_torque_nm.slice]
        free = [not name.endswith("HAA") for name in SPEC.joint_names]
        np.testing.assert_allclose(torque_nm[:, free], -80.0 * strength[:, free], rtol=1e-9)


@pytest.mark.parametrize("variant", [NOMINAL, FIELD, WEAK], ids=lambda variant: variant.name)
def test_both_simulators_are_the_same_robot(variant: RobotVariant) -> None:
    single = SimulatedRobot(SPEC, variant=variant, seed=11)
    with RobotBatch(SPEC, 1, seed=11, reset_range=CALM, variant=variant) as robots:
        robots._physics[0, robots._qpos] = single._data.qpos
        robots._physics[0, robots._qvel] = single._data.qvel
        for tick, target in enumerate(targets(40)):
            single.send(position_command(SPEC, target))
            single.advance((tick + 1) * 0.02)
            measured = robots.step(action_from_target(SPEC, target)[None]).state[0]
            # The batch's solver starts anew every control step; its tolerance is 1e-8.
            np.testing.assert_allclose(single.latest_state().vector(SPEC), measured, atol=1e-3)


def test_the_nominal_robot_is_the_model_file_bit_for_bit() -> None:
    mj = mujoco.MjModel.from_xml_path(MJCF)
    data, model = mujoco.MjData(mj), RobotModel(SPEC)
    single = SimulatedRobot(SPEC, variant=NOMINAL, seed=5)
    data.qpos[:], data.qvel[:] = single._data.qpos, single._data.qvel
    data.ctrl[model.joint_actuator] = SPEC.default_position_rad
    mujoco.mj_forward(mj, data)
    for tick, target in enumerate(targets(30)):
        single.send(position_command(SPEC, target))
        single.advance((tick + 1) * 0.02)
        data.ctrl[model.joint_actuator] = target
        mujoco.mj_step(mj, data, 4)
        np.testing.assert_array_equal(single._data.qpos, data.qpos)
    state = single.latest_state()
    np.testing.assert_array_equal(state.joint_position_rad, data.qpos[model.joint_qpos])
    assert single.true_state() is state


def test_a_nominal_batch_is_the_model_file_bit_for_bit() -> None:
    full = mujoco.mjtState.mjSTATE_FULLPHYSICS
    mj = mujoco.MjModel.from_xml_path(MJCF)
    data = mujoco.MjData(mj)
    with RobotBatch(SPEC, 3, seed=5) as robots:
        before = robots._physics.copy()
        wanted = targets(3)
        outcome = robots.step(action_from_target(SPEC, wanted))
        for robot in range(3):
            mujoco.mj_setState(mj, data, before[robot], full)
            data.qacc_warmstart[:] = 0.0
            applied = SPEC.default_position_rad + SPEC.action_scale * np.clip(
                action_from_target(SPEC, wanted[robot]),
                robots._action_lower,
                robots._action_upper,
            )
            data.ctrl[robots.model.joint_actuator] = applied
            mujoco.mj_step(mj, data, 4)
            np.testing.assert_array_equal(robots._physics[robot, robots._qpos], data.qpos)
        assert outcome.state is outcome.true_state


def test_islands_and_midphase_leave_out_nothing_that_matters() -> None:
    """anymal_d.xml switches both off for speed."""
    mj = mujoco.MjModel.from_xml_path(MJCF)
    bits = mujoco.mjtDisableBit
    off = int(bits.mjDSBL_ISLAND) | int(bits.mjDSBL_MIDPHASE)
    assert mj.opt.disableflags & off == off
    with RobotBatch(SPEC, 16, seed=1) as robots, RobotBatch(SPEC, 16, seed=1) as thorough:
        thorough.model.mj.opt.disableflags &= ~off
        for batch in (robots, thorough):
            batch._physics[::2, batch._qpos.start + 3 : batch._qpos.start + 7] = [0, 1, 0, 0]
        rng = np.random.default_rng(1)
        for _ in range(40):  # long enough for robots on their backs to lie on the ground
            action = rng.normal(size=(16, 12))
            outcome = robots.step(action)
            np.testing.assert_array_equal(outcome.state, thorough.step(action).state)
        assert outcome.fell.any()
        assert not outcome.fell.all()


def test_a_batch_that_takes_over_goes_on_as_if_nothing_had_happened() -> None:
    actions = action_from_target(SPEC, targets(20))
    for variant in (NOMINAL, LATE):
        with (
            RobotBatch(SPEC, 1, seed=0, variant=variant) as stays,
            RobotBatch(SPEC, 1, seed=0, variant=variant) as leaves,
            RobotBatch(SPEC, 1, seed=5, variant=variant) as takes,
        ):
            for step in range(20):
                if step == 10:
                    takes.take_over(leaves)
                robots = leaves if step < 10 else takes
                expected = stays.step(actions[step : step + 1]).state
                found = robots.step(actions[step : step + 1]).state
                np.testing.assert_array_equal(found, expected)


def test_a_robot_that_becomes_slow_first_holds_its_latest_target() -> None:
    actions = action_from_target(SPEC, targets(2))
    with (
        RobotBatch(SPEC, 1, seed=0) as prompt,
        RobotBatch(SPEC, 1, seed=0, variant=LATE) as late,
    ):
        prompt.step(actions[:1])
        late.take_over(prompt)
        # 20 ms late: for a control step it does what the prompt one does if told the same again.
        np.testing.assert_array_equal(
            late.step(actions[1:]).true_state, prompt.step(actions[:1]).state
        )
        np.testing.assert_array_equal(
            late.step(actions[1:]).true_state, prompt.step(actions[1:]).state
        )
    with (
        RobotBatch(SPEC, 1, seed=0, variant=LATE) as late,
        RobotBatch(SPEC, 1, seed=0, variant=LATE) as again,
        RobotBatch(SPEC, 1, seed=0) as prompt,
    ):
        late.step(actions[:1])
        prompt.take_over(late)
        again.take_over(late)
        # What was on its way is lost: told at once, it does what the slow one was told before.
        np.testing.assert_array_equal(
            prompt.step(actions[:1]).state, again.step(actions[1:]).true_state
        )


def test_only_equal_robots_can_be_taken_over() -> None:
    with (
        RobotBatch(SPEC, 2, seed=0) as two,
        RobotBatch(SPEC, 1, seed=0) as one,
        pytest.raises(ConfigError, match="2 simulated 'anymal_d' can't be taken over"),
    ):
        one.take_over(two)
