"""The policy node with the link of this robot; everything else is `rwmu_ros.policy_process`."""

from __future__ import annotations

import sys

from rwmu_ros import policy_process

from rwmu_unitree.low_level_link import LOW_LEVEL


def main(args: list[str] | None = None) -> int:
    """As `rwmu_ros.policy_process.main`."""
    return policy_process.main(args, link_kind=LOW_LEVEL)


if __name__ == "__main__":
    sys.exit(main())
