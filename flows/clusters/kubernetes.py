"""Workers as pods that the Dask operator for Kubernetes starts, through dask-kubernetes.

Conventions
-----------
The resource is the operator's own template with what it leaves out: commands that present Dask still has and an image's
entry point does not swallow, one thread a worker, a size for each kind of pod, and secrets for the workers alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows.clusters.profiles import KubernetesProfile, PodSize
from flows.clusters.workers import ONE_THREAD, WORK_FOR_ONE, check_workers, plan_threads, wait_for_one
from gunshot.errors import RunError

__all__ = ["cluster_resource", "open_kubernetes"]


def cluster_resource(profile: KubernetesProfile, name: str) -> dict[str, Any]:
    """The ``DaskCluster`` resource that the operator is given.

    Parameters
    ----------
    profile : KubernetesProfile
        The profile.
    name : str
        Of this cluster.

    Returns
    -------
    dict
        As it is sent to Kubernetes.
    """
    from dask_kubernetes.operator import make_cluster_spec

    least = profile.workers if profile.adaptive is None else profile.adaptive.minimum
    resource: dict[str, Any] = make_cluster_spec(
        name=name,
        image=profile.image,
        n_workers=least,
        env={},
        resources={},
        worker_command=["dask", "worker", "--nthreads", "1"],
        idle_timeout=profile.idle_timeout_s,
    )
    for role, size in (("worker", profile.worker), ("scheduler", profile.scheduler)):
        container = resource["spec"][role]["spec"]["containers"][0]
        container["resources"] = _resources(size)
        # `command`, for an image's own entry point would take `args` as its arguments
        command, container["args"] = _split_command(container["args"])
        container["command"] = command
    pod = resource["spec"]["worker"]["spec"]
    worker = pod["containers"][0]
    worker["env"] = [{"name": key, "value": value} for key, value in (profile.env | ONE_THREAD).items()]
    scheduler = resource["spec"]["scheduler"]["spec"]["containers"][0]
    scheduler["env"] = [{"name": "DASK_DISTRIBUTED__ADAPTIVE__TARGET_DURATION", "value": WORK_FOR_ONE}]
    if profile.secrets:
        worker["envFrom"] = [{"secretRef": {"name": secret}} for secret in profile.secrets]
    if profile.service_account is not None:
        pod["serviceAccountName"] = profile.service_account
    return resource


def _resources(size: PodSize) -> dict[str, dict[str, str]]:
    return {"requests": size.model_dump(), "limits": size.model_dump()}


def _split_command(words: list[str]) -> tuple[list[str], list[str]]:
    if words[0] == "dask-scheduler":  # as the template still says, though Dask has no such command any more
        words = ["dask", "scheduler", *words[1:]]
    return words[:2], words[2:]


def _check_reachable(profile: KubernetesProfile) -> None:
    import httpx
    import kr8s

    # a KubeCluster that could not start asks Kubernetes again when the process ends, and ends in a traceback
    try:
        kr8s.api(namespace=profile.namespace).version()
    except (httpx.HTTPError, kr8s.APITimeoutError, kr8s.ServerError, OSError, ValueError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"cannot reach Kubernetes ({why}); try 'kubectl -n {profile.namespace} get pods'") from error


@contextmanager
def open_kubernetes(profile: KubernetesProfile) -> Iterator[str]:
    """Create the cluster, and delete it at the end.

    Parameters
    ----------
    profile : KubernetesProfile
        The profile.

    Yields
    ------
    str
        Address of the scheduler, as it is reached from here.

    Raises
    ------
    RunError
        If Kubernetes or the operator does not answer, or no worker comes.
    """
    import httpx
    import kr8s
    from dask_kubernetes.exceptions import SchedulerStartupError
    from dask_kubernetes.operator import KubeCluster

    _check_reachable(profile)
    name = f"{profile.name}-{uuid.uuid4().hex[:8]}"
    try:
        cluster = KubeCluster(
            custom_cluster_spec=cluster_resource(profile, name),
            namespace=profile.namespace,
            resource_timeout=profile.wait_s,
            shutdown_on_close=True,
            quiet=True,
        )
    except (
        httpx.HTTPError,
        kr8s.APITimeoutError,
        kr8s.ServerError,
        SchedulerStartupError,
        OSError,
        RuntimeError,
    ) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RunError(
            f"no Dask cluster could be made in the Kubernetes namespace {profile.namespace} ({why}); is the Dask "
            f"operator installed, may you create DaskCluster resources, and can {profile.image} be pulled?"
        ) from error
    with cluster:
        if profile.adaptive is not None:
            cluster.adapt(minimum=profile.adaptive.minimum, maximum=profile.adaptive.maximum)
        address = str(cluster.scheduler_address)
        remedy = f"look at 'kubectl -n {profile.namespace} get pods', or raise wait_s of the profile"
        wait_for_one(address, profile.wait_s, remedy)
        check_workers(address)
        plan_threads(address, profile.most_workers)
        yield address
