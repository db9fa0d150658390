"""The manifest for Kubernetes against the fields of KubeRay and our own options."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from earthclip.cli.cluster import locate


def test_the_manifest_for_kubernetes() -> None:
    """Against the fields of KubeRay's API (apis/ray/v1/*_types.go) and our own options."""
    text = (Path(__file__).parents[2] / "deploy" / "kuberay.yaml").read_text()
    job = yaml.safe_load(text)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job["spec"]) <= {
        *("entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"),
    }
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) <= {
        *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec"),
        "workerGroupSpecs",
    }
    (workers,) = cluster["workerGroupSpecs"]
    assert set(cluster["headGroupSpec"]) == {"rayStartParams", "template"}
    assert set(workers) == {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert all(isinstance(variable["value"], str) for variable in container["env"])
        assert container["resources"]["requests"] == container["resources"]["limits"]
    shell, option, script = shlex.split(job["spec"]["entrypoint"])
    assert (shell, option) == ("bash", "-c")
    command = shlex.split(script.removeprefix("run() {").partition(";")[0])
    assert command[:3] == ["earthclip", "cluster", "locate"]
    given = locate.make_context("locate", command[3:]).params
    assert (given["resume"], given["workers"]) == (True, workers["maxReplicas"])
    assert str(given["worker_cpus"]) == workers["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
