"""The manifests of deploy/kubernetes.yaml, against the official schemas and the real server."""

from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml
from decthings_mcp.server.cli import parser
from deploy_support import DEPLOY, DOCS, ENTRYPOINT, GRACE, last, load
from http_support import HttpServer, post

MANIFESTS: dict[str, dict[str, Any]] = {
    manifest["kind"]: manifest for manifest in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
}
POD: dict[str, Any] = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", MANIFESTS)
def test_kubernetes_knows_all_that_the_manifests_say(kind: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[kind], version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**MANIFESTS[kind], "specs": {}}, version, strict=True)


def test_the_kinds_that_keep_the_service_up_are_there_and_mean_the_same_pods() -> None:
    assert sorted(MANIFESTS) == ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"]
    deployment = MANIFESTS["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    for spread in POD["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == labels
    scaled = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaled["minReplicas"] == deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_a_pod_serves_with_what_all_replicas_share(tmp_path: Path) -> None:
    _, http = load([*ENTRYPOINT[1:], *CONTAINER["args"]], tmp_path)
    assert http.stateless
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"http": http.port, "metrics": http.metrics_port}
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] in ports
    key_file: Path = parser().parse_args(CONTAINER["args"]).state_key_file
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    (secret,) = [volume["secret"] for volume in POD["volumes"] if volume["name"] == mounts[str(key_file.parent)]]
    command = f"kubectl create secret generic {secret['secretName']} --from-literal={key_file.name}="
    assert command in DOCS


def test_a_pod_may_do_little_and_has_time_to_end() -> None:
    user, _ = map(int, last("USER").split(":"))
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] == user
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    security = CONTAINER["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(CONTAINER["resources"])
    pause = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > pause + GRACE


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_is_answered_though_it_names_the_pods_address(probe: str, callers_server: HttpServer) -> None:
    asked = CONTAINER[probe]["httpGet"]
    assert asked["port"] == "http"
    answer = httpx.get(callers_server.root + asked["path"], headers={"Host": "10.1.2.3:8000"})
    assert answer.status_code == 200
    assert post(callers_server.url, "tools/list", {"Host": "10.1.2.3:8000"}).status_code != 200
