"""The demo in the cluster that kubectl talks to: nothing is built, and everything is taken away again.

The operator is a process of this machine with the person's own rights, and looks at the demo's
namespace only. A CRD that was there before stays, as does one that somebody else uses by now.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from tools.cluster.control_plane import ClusterError
from tools.crds import delete_crds
from tools.demo.acts import DemoError, Place
from tools.demo.feed import Object
from tools.operator_process import ROOT, OperatorProcess, await_served

IMAGE = "busybox:1.37"
SERVE = "trap 'exit 0' TERM; touch /tmp/ready; sleep 3600 & wait"
CRASH = "echo 'cannot reach the database' >&2; exit 2"
_LOCAL_NAMES = ("localhost", "kubernetes.docker.internal", "host.docker.internal")
_LOCAL_CONTEXTS = ("kind-", "k3d-", "minikube", "docker-desktop", "rancher-desktop", "orbstack")

Confirm = Callable[[str], bool]
"""Asks a person; whether the answer is yes."""


@dataclass(frozen=True)
class Context:
    """The current context of a kubeconfig."""

    name: str
    server: str

    @classmethod
    def read(cls, kubeconfig: Object) -> Self:
        """Take it from what ``kubectl config view --minify`` prints."""
        return cls(kubeconfig["current-context"], kubeconfig["clusters"][0]["cluster"]["server"])

    @property
    def is_local(self) -> bool:
        """Whether the cluster runs on this machine, as far as names and addresses tell."""
        host = urlsplit(self.server).hostname or ""
        if host in _LOCAL_NAMES:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        here = address.is_loopback or address.is_unspecified
        return here or (address.is_private and self.name.startswith(_LOCAL_CONTEXTS))


class Kubectl:
    """kubectl with one kubeconfig, out of reach of the terminal's Ctrl-C."""

    def __init__(self, *command: str) -> None:
        self.command = list(command)

    def __call__(self, *words: str, input: str | None = None) -> str:  # noqa: A002
        """Return what it prints; ClusterError with its words if it fails."""
        done = subprocess.run(
            [*self.command, *words],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode == -signal.SIGINT:
            # Ctrl-C reached it in the instant before it had a session of its own: it has done nothing yet.
            return self(*words, input=input)
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def current_cluster(image: str, confirm: Confirm) -> Iterator[Place]:
    """Make a namespace, the CRD if there is none, and run the operator; all of it goes afterwards.

    Raises DemoError when there is no kubectl or the person says no, ClusterError when the cluster
    refuses something.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise DemoError("kubectl is not on the PATH; `make demo` alone brings a cluster of its own")
    try:
        view = Kubectl(program)("config", "view", "--raw", "--minify", "--flatten", "--output=json")
    except ClusterError as error:
        raise DemoError(f"kubectl has no cluster to talk to: {error}") from error
    context = Context.read(json.loads(view))
    namespace = f"tripswitch-demo-{secrets.token_hex(3)}"
    print(f"Context {context.name}, {context.server}.")
    print(f"Namespace {namespace}, and the CRD if there is none, until the end of the demo.")
    if not context.is_local and not confirm("This cluster is not local. Use it?"):
        raise DemoError("nothing was done; YES=1 answers the question")
    with tempfile.TemporaryDirectory(prefix="tripswitch-demo-") as directory, ExitStack() as stack:
        # The context as it is now, wherever the person turns to in the meantime.
        kubeconfig = Path(directory) / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(view)
        kubectl = Kubectl(program, f"--kubeconfig={kubeconfig}")
        _lend_crds(kubectl, stack)
        stack.callback(_delete, kubectl, f"namespace/{namespace}")
        kubectl("create", "namespace", namespace)
        log = _run_operator(kubectl, kubeconfig, namespace, stack)
        stack.callback(_finish_undisturbed)

        def adapt(manifest: Object) -> None:
            use_image(manifest, image)

        yield Place(kubectl, kubectl.command, namespace, adapt, log)


def _lend_crds(kubectl: Kubectl, stack: ExitStack) -> None:
    """Apply the CRDs that are not there; they go again when nobody else uses them."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        if not kubectl("get", "crd", name, "--ignore-not-found", "--output=name"):
            stack.callback(_take_back, kubectl, name)
            kubectl("apply", "--server-side", "--filename", str(path))
    await_served(kubectl)


def _take_back(kubectl: Kubectl, crd: str) -> None:
    if not kubectl("get", "crd", crd, "--ignore-not-found", "--output=name"):
        return
    if used := kubectl("get", crd, "--all-namespaces", "--output=name"):
        print(f"The CRD {crd} stays, because somebody uses it by now: {used.split()[0]}")
    else:
        _tell_deletion(f"crd/{crd}")
        delete_crds(kubectl, crd)


def _delete(kubectl: Kubectl, what: str) -> None:
    """Delete it and wait until it is gone."""
    _tell_deletion(what)
    kubectl("delete", what, "--ignore-not-found", "--wait", "--timeout=120s")


def _tell_deletion(what: str) -> None:
    print(f"Deleting {what} ...", flush=True)


def _run_operator(
    kubectl: Kubectl, kubeconfig: Path, namespace: str, stack: ExitStack
) -> Path | None:
    """Start the operator for our namespace; None if one is installed in the cluster."""
    words = ("--all-namespaces", "--selector=app.kubernetes.io/name=tripswitch", "--output=json")
    installed: list[Any] = json.loads(kubectl("get", "deployments", *words))["items"]
    if installed:
        where = installed[0]["metadata"]["namespace"]
        print(f"The operator is installed in the namespace {where}: that one is used.")
        return None
    log = kubeconfig.with_name("operator.log")
    arguments = (f"--namespace={namespace}",)
    stack.enter_context(OperatorProcess(kubeconfig, log, arguments=arguments))
    return log


def _finish_undisturbed() -> None:
    """From here on Ctrl-C does not stop the cleaning up."""
    signal.signal(signal.SIGINT, lambda *_: print("cleaning up; one moment", flush=True))


def use_image(manifest: Object, image: str) -> None:
    """Let any image with a shell play the sample: it waits, or crashes, or cannot start.

    What cannot start lacks its ConfigMap, and no registry is asked for an image that is not there.
    """
    template = manifest["spec"]["template"]
    template["spec"]["terminationGracePeriodSeconds"] = 5
    for container in template["spec"]["containers"]:
        crashing = "command" in container
        if container["image"].endswith("no-such-tag"):
            container["envFrom"] = [{"configMapRef": {"name": "no-such-config"}}]
            template["metadata"]["annotations"]["stage.tripswitch.dev/behaviour"] = "config-error"
        container["image"] = image
        container["imagePullPolicy"] = "IfNotPresent"
        container["command"] = ["sh", "-c", CRASH if crashing else SERVE]
        container["readinessProbe"] = {
            "exec": {"command": ["cat", "/tmp/ready"]},
            "periodSeconds": 1,
        }
        container.pop("ports", None)


def ask(question: str) -> bool:
    """Ask the person at the terminal; no answer is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def without_a_question(_: str) -> bool:
    """The answer of YES=1."""
    return True
