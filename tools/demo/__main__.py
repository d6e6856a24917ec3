"""Play the demo: ``python -m tools.demo [--current [--image IMAGE] [--yes]]``.

Ends with 0 only if each of the four acts happened. Nothing is left behind, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import AbstractContextManager
from typing import Any

from tools.cluster.box import BoxError
from tools.cluster.control_plane import ClusterError
from tools.cluster.toolchain import BuildError
from tools.demo.acts import Demo, DemoError, Place
from tools.demo.current import IMAGE, ask, current_cluster, without_a_question
from tools.demo.feed import KubectlFeed
from tools.demo.throwaway import throwaway_cluster
from tools.operator_process import OperatorError


def main(arguments: list[str]) -> int:
    """Play it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo")
    parser.add_argument("--current", action="store_true", help="in the cluster of your kubeconfig")
    parser.add_argument("--image", default=IMAGE, help=f"any that has a shell (default: {IMAGE})")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    options = parser.parse_args(arguments)
    # Ctrl-C, too: a shell that starts it in the background has it ignored, and nothing would clean up.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        if options.current:
            confirm = without_a_question if options.yes else ask
            _play(current_cluster(options.image, confirm))
            print("\nAll four happened, and nothing of it is left.")
        else:
            _play(throwaway_cluster())
            print(
                "\nAll four happened. `make up` leaves a cluster with the operator to try by hand."
            )
    except (DemoError, ClusterError, BoxError, BuildError, OperatorError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; nothing of it is left", file=sys.stderr)
        return 130
    return 0


def _play(cluster: AbstractContextManager[Place]) -> None:
    with cluster as place:
        try:
            with KubectlFeed(place.command, place.namespace) as feed:
                Demo(place, feed).run()
        except DemoError:
            if place.log is not None:
                print(place.log.read_text()[-4000:], file=sys.stderr)
            raise


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
