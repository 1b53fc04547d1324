#!/bin/sh
# Build the message packages of this workspace with wheels alone.
#
#   ros2_ws/build_messages.sh .venv .venv
#
# The second folder is where to: the virtual environment itself, whose Python then imports them like
# any other. Another folder needs its lib on LD_LIBRARY_PATH and its site-packages on PYTHONPATH.
# On a machine with a ROS installation `colcon build` does the same.
set -eu
if ! command -v c++ >/dev/null || ! command -v cmake >/dev/null; then
    echo "No C++ compiler or no cmake: messages are not built, and nodes that need them won't run." >&2
    exit 0
fi
venv=$(cd "$1" && pwd)
mkdir -p "$2"
install=$(cd "$2" && pwd)
workspace=$(cd "$(dirname "$0")" && pwd)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
libraries="$venv/lib"
for folder in "$site"/ros_*.libs; do
    libraries="$libraries:$folder"
done
# The wheels' tools are native programs too: the bootstrapper reaches only Python.
PATH="$venv/bin:$PATH" AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" \
    LD_LIBRARY_PATH="$libraries" \
    "$venv/bin/colcon" --log-base "$build/log" build --merge-install \
    --base-paths "$workspace/src/unitree_api" "$workspace/src/unitree_hg" \
    --build-base "$build" --install-base "$install" \
    --cmake-args -DPython3_EXECUTABLE="$venv/bin/python" -DBUILD_TESTING=OFF
