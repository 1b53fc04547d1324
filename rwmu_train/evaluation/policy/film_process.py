"""Renders positions from standard input to a GIF or MP4 on standard output.

A process of its own, because MuJoCo takes its OpenGL when it is first imported, and because OpenGL
may end the process that it fails in. Started by `policy_video`.
"""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import io
import sys

import mujoco
import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 400, 280
COLOURS = 96
_ARROW_PIXELS = 34.0


def main() -> int:
    """Exit code 0: the film is on standard output. Words: gif or mp4, frames a second."""
    kind, frames_per_second = sys.argv[1], float(sys.argv[2])
    given = np.load(io.BytesIO(sys.stdin.buffer.read()))
    model = mujoco.MjModel.from_xml_path(str(given["mjcf"]))
    data = mujoco.MjData(model)
    camera = mujoco.MjvCamera()
    camera.distance, camera.azimuth, camera.elevation = 3.0, 130.0, -20.0
    frames = []
    with mujoco.Renderer(model, HEIGHT, WIDTH) as renderer:
        for qpos, command in zip(given["qpos"], given["command"], strict=True):
            data.qpos[:] = qpos
            mujoco.mj_forward(model, data)
            camera.lookat[:] = (*qpos[:2], 0.4)
            renderer.update_scene(data, camera)
            frame = Image.fromarray(renderer.render())
            _draw_command(frame, command)
            frames.append(frame)
    write = _mp4 if kind == "mp4" else _gif
    sys.stdout.buffer.write(write(frames, frames_per_second))
    return 0


def _gif(frames: list[Image.Image], frames_per_second: float) -> bytes:
    content = io.BytesIO()
    first, *others = (frame.quantize(COLOURS) for frame in frames)
    first.save(
        content,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=round(1000 / frames_per_second),
        loop=0,
    )
    return content.getvalue()


def _mp4(frames: list[Image.Image], frames_per_second: float) -> bytes:
    # Not a dependency of ours; the command asks for it before it simulates anything.
    import imageio.v3 as imageio  # pyright: ignore[reportMissingImports]

    return imageio.imwrite(
        "<bytes>",
        [np.asarray(frame) for frame in frames],
        extension=".mp4",
        plugin="FFMPEG",
        fps=frames_per_second,
        macro_block_size=8,
    )


def _draw_command(frame: Image.Image, command: np.ndarray) -> None:
    """The command in words, and as an arrow: forward is up, left is left."""
    draw = ImageDraw.Draw(frame)
    vx, vy, wz = command
    draw.text((8, 6), f"command: vx {vx:+.1f}  vy {vy:+.1f} m/s  wz {wz:+.1f} rad/s", fill="black")
    x, y = WIDTH - 48, 48
    # A light ground: the floor is dark.
    draw.ellipse((x - 42, y - 42, x + 42, y + 42), fill=(225, 230, 238))
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="black")
    length = float(np.hypot(vx, vy))
    if length:
        # Along and across the arrow, in pixels; a picture's y points down.
        along = np.array((-vy, -vx)) * _ARROW_PIXELS
        across = np.array((vx, -vy)) * 6.0 / length
        tip = np.array((x, y)) + along
        neck = tip - 10.0 * along / np.linalg.norm(along)
        draw.line((x, y, *neck), fill="black", width=3)
        draw.polygon([tuple(tip), tuple(neck + across), tuple(neck - across)], fill="black")
    if wz:
        turn = 120.0 * float(wz)
        box = (x - 24, y - 24, x + 24, y + 24)
        draw.arc(box, *sorted((-90.0, -90.0 - turn)), fill="black", width=3)


if __name__ == "__main__":
    sys.exit(main())
