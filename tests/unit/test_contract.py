"""What holds for every component, whatever it is."""

from collections.abc import Callable

import pytest

from tests.unit import building
from tests.unit.recording import Recording, created_before

# Kinds of Kubernetes that are in no namespace.
OUTSIDE = {"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
LABELS = {f"app.kubernetes.io/{key}" for key in ("name", "instance", "version", "component", "part-of", "managed-by")}
VERSION = "app.kubernetes.io/version"

Build = Callable[..., Recording]


WITH_PODS: list[Build] = [building.zookeeper, building.kafka, building.flink, building.prometheus]
ALL: list[Build] = [*WITH_PODS, building.namespace]


@pytest.fixture(scope="module", params=ALL)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Every component in turn, built once."""
    return request.param()


@pytest.fixture(scope="module", params=WITH_PODS)
def workload(request: pytest.FixtureRequest) -> Recording:
    """Every component that has pods, built once."""
    return request.param()


def test_type_says_module_and_class(recording: Recording) -> None:
    prefix, module, kind = recording.component().type.split(":")
    assert prefix == "streaming"
    assert module.islower()
    assert kind in {"ZooKeeperEnsemble", "KafkaCluster", "FlinkCluster", "IsolatedNamespace", "Prometheus"}


def test_all_children_have_the_component_as_parent(recording: Recording) -> None:
    component = recording.component()
    children = [resource for resource in recording.resources if resource is not component]
    assert len(children) > 5
    assert {child.parent for child in children} == {component.urn}


def test_everything_carries_all_labels(recording: Recording) -> None:
    for resource in recording.resources:
        if not resource.is_component:
            labels = resource.inputs["metadata"]["labels"]
            assert labels.keys() >= LABELS, resource.name
            assert all(labels[key] for key in LABELS), resource.name
            assert labels["app.kubernetes.io/part-of"] == "streaming-platform"


def test_everything_has_the_same_field_manager_in_any_state(recording: Recording) -> None:
    for resource in recording.resources:
        if not resource.is_component:
            annotations = resource.inputs["metadata"]["annotations"]
            assert annotations["pulumi.com/patchFieldManager"] == "streaming-platform", resource.name


def test_everything_has_a_fixed_name_and_its_namespace(recording: Recording) -> None:
    for resource in recording.resources:
        if not resource.is_component:
            metadata = resource.inputs["metadata"]
            assert metadata["name"], resource.name
            assert resource.kind in OUTSIDE or metadata["namespace"] == "dev", resource.name


def test_outputs_are_registered_and_are_all_that_is_annotated(recording: Recording) -> None:
    outputs = recording.outputs[recording.component().urn]
    assert outputs
    assert all(value is not None for value in outputs.values())


@pytest.mark.parametrize("build", ALL)
def test_names_that_do_not_fit_are_refused_before_anything_is_created(build: Build) -> None:
    with pytest.raises(ValueError, match=r"name 'x{64}' has 64 characters; at most \d\d fit") as caught:
        build("x" * 64)
    assert not created_before(caught.value)


def test_labels_of_a_component_do_not_depend_on_its_neighbours(recording: Recording) -> None:
    instances = {
        resource.inputs["metadata"]["labels"]["app.kubernetes.io/instance"]
        for resource in recording.resources
        if not resource.is_component
    }
    assert len(instances) == 1


def test_every_container_has_a_memory_limit_that_is_its_request(workload: Recording) -> None:
    for name, container in workload.containers():
        resources = container["resources"]
        assert resources["limits"]["memory"] == resources["requests"]["memory"], name
        assert resources["requests"]["cpu"], name


def test_pods_meet_pod_security_restricted(workload: Recording) -> None:
    for name, template in workload.pod_templates():
        spec = template["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert all("hostPath" not in volume for volume in spec["volumes"]), name
    for name, container in workload.containers():
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_pods_have_no_token_of_the_api_server(workload: Recording) -> None:
    accounts = {account.inputs["metadata"]["name"]: account.inputs for account in workload.all("ServiceAccount")}
    for name, template in workload.pod_templates():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert accounts[spec["serviceAccountName"]]["automountServiceAccountToken"] is False, name


def test_selectors_match_the_pods_and_leave_the_version_out(workload: Recording) -> None:
    pods = [template["metadata"]["labels"] for _, template in workload.pod_templates()]
    selectors = [
        *(each.inputs["spec"]["selector"]["matchLabels"] for each in workload.all("StatefulSet")),
        *(each.inputs["spec"]["selector"]["matchLabels"] for each in workload.all("Deployment")),
        *(each.inputs["spec"]["selector"]["matchLabels"] for each in workload.all("PodDisruptionBudget")),
        *(each.inputs["spec"]["selector"] for each in workload.all("Service")),
    ]
    for selector in selectors:
        assert VERSION not in selector
        assert len([labels for labels in pods if selector.items() <= labels.items()]) == 1, selector


def test_claim_templates_leave_the_version_out_and_never_replace_the_set(workload: Recording) -> None:
    for each in workload.all("StatefulSet"):
        (template,) = each.inputs["spec"]["volumeClaimTemplates"]
        assert VERSION not in template["metadata"]["labels"]
        assert each.ignore_changes == ("spec.volumeClaimTemplates",)


def test_each_replica_of_a_set_finds_its_claim(workload: Recording) -> None:
    claims = {claim.inputs["metadata"]["name"]: claim.inputs["spec"] for claim in workload.all("PersistentVolumeClaim")}
    for each in workload.all("StatefulSet"):
        (template,) = each.inputs["spec"]["volumeClaimTemplates"]
        for replica in range(int(each.inputs["spec"]["replicas"])):
            assert claims[f"{template['metadata']['name']}-{each.name}-{replica}"] == template["spec"]
    for _, template in workload.pod_templates():
        for volume in template["spec"]["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in claims


@pytest.mark.parametrize("build", WITH_PODS)
@pytest.mark.parametrize("protect", [True, False])
def test_resources_with_data_are_protected_by_default(build: Build, protect: bool) -> None:
    recording = build(protect=protect)
    claims = recording.all("PersistentVolumeClaim")
    assert claims
    # Deleting a protected one is refused; one that is retained is left where it is.
    assert {claim.protect or claim.retain for claim in claims} == {protect}
    assert not any(resource.protect for resource in recording.resources if resource not in claims)


def test_claims_are_not_waited_for_since_storage_classes_cannot_be_read(workload: Recording) -> None:
    for claim in workload.all("PersistentVolumeClaim"):
        assert claim.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_mounted_files_that_change_replace_the_pods(workload: Recording) -> None:
    for name, template in workload.pod_templates():
        assert any("configMap" in volume for volume in template["spec"]["volumes"]), name
        assert template["metadata"]["annotations"]["streaming-platform/config-checksum"], name


def test_every_container_that_stays_has_probes_with_time_to_start(workload: Recording) -> None:
    for name, template in workload.pod_templates():
        for container in template["spec"]["containers"]:
            startup = container["startupProbe"]
            assert startup["periodSeconds"] <= 3, name
            assert startup["periodSeconds"] * startup["failureThreshold"] >= 120, name
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), name


def test_probes_and_services_name_ports_that_exist(workload: Recording) -> None:
    for name, container in workload.containers():
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for action in ("tcpSocket", "httpGet"):
                if target := container.get(probe, {}).get(action):
                    assert target["port"] in ports, f"{name}: {probe}"
    for service in workload.all("Service"):
        selector = service.inputs["spec"]["selector"]
        (spec,) = [
            template["spec"]
            for _, template in workload.pod_templates()
            if selector.items() <= template["metadata"]["labels"].items()
        ]
        numbers = {port["name"]: port["containerPort"] for each in spec["containers"] for port in each["ports"]}
        for port in service.inputs["spec"]["ports"]:
            assert numbers[port["targetPort"]] == port["port"], service.name
            assert port["protocol"] == "TCP", service.name


def test_service_variables_do_not_reach_the_images(workload: Recording) -> None:
    for name, template in workload.pod_templates():
        assert template["spec"]["enableServiceLinks"] is False, name


def test_no_workload_is_reached_from_outside_the_cluster(workload: Recording) -> None:
    for service in workload.all("Service"):
        assert service.inputs["spec"].get("type", "ClusterIP") == "ClusterIP", service.name
