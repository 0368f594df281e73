"""The cluster stack: the namespaces of all environments, one deployer for each, and what the API server refuses."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.isolation.admission import AdmissionRules
from components.isolation.namespace import IsolatedNamespace, IsolatedNamespaceArgs
from policies.pack import PolicyConfigError
from stacks.admission import admission_rules
from stacks.settings import ClusterSettings, SettingsError


def build(settings: ClusterSettings) -> Mapping[str, object]:
    """Create the stack's resources and return its outputs. Raises SettingsError without an API server's address, or for
    policy configuration that cannot be read.
    """
    if settings.server is None:
        raise SettingsError(
            "streaming-platform:server: is missing: the deployers' kubeconfigs need the API server's address, "
            'such as https://10.0.0.1:6443: eval "$(make -s env)" gives it, or `pulumi config set server <address>`'
        )
    provider = k8s.Provider(
        "kubernetes",
        context=settings.context,
        # Another context is another cluster, in which everything must be created. Another address is the same cluster.
        cluster_identifier=settings.context or "current-context",
    )
    namespaces = {
        name: IsolatedNamespace(
            name,
            IsolatedNamespaceArgs(server=settings.server, settings=namespace),
            pulumi.ResourceOptions(provider=provider),
        )
        for name, namespace in settings.environments.items()
    }
    try:
        rules = list(admission_rules(settings.environments))
    except PolicyConfigError as error:
        raise SettingsError(str(error)) from None
    AdmissionRules("admission", rules, pulumi.ResourceOptions(provider=provider))
    return {
        "namespaces": list(namespaces),
        "kubeconfigs": pulumi.Output.secret({name: each.kubeconfig for name, each in namespaces.items()}),
    }
