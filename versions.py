"""The version of each thing that the platform is made of, written once.

The code takes versions from here. Some files cannot: pom.xml, go.mod, requirements.in, Dockerfiles, workflows and the
pages. tests/unit/test_versions.py compares them with this module, and names file and line where one differs. The
comment above each version is for Renovate: `renovate.json` reads it. CONTRIBUTING.md has the steps to the next Flink.
"""

# Python, which runs the program, and Java, which runs Flink, Kafka and ZooKeeper.
# renovate: datasource=python-version depName=python
PYTHON = "3.11"
# renovate: datasource=java-version depName=java
JAVA = "17"

# What runs in the environments.
# renovate: datasource=maven depName=org.apache.flink:flink-runtime
FLINK = "2.3.0"
# renovate: datasource=maven depName=org.apache.flink:flink-connector-kafka
FLINK_CONNECTOR_KAFKA = "5.0.0-2.2"
# renovate: datasource=maven depName=org.apache.kafka:kafka_2.13
KAFKA = "4.1.0"
# renovate: datasource=maven depName=org.apache.zookeeper:zookeeper
ZOOKEEPER = "3.9.4"
# The agent that serves Kafka's metrics. From 1.0 on its jar is larger than a ConfigMap may be (1 MiB).
# renovate: datasource=maven depName=io.prometheus.jmx:jmx_prometheus_javaagent
METRICS_AGENT = "0.20.0"

# The newest line with long-term support of Prometheus 2.
# renovate: datasource=github-releases depName=prometheus/prometheus extractVersion=^v(?<version>2\.53\..+)$
PROMETHEUS = "2.53.5"

# The agents that ship logs.
# renovate: datasource=docker depName=otel/opentelemetry-collector-contrib
COLLECTOR = "0.145.0"
# renovate: datasource=docker depName=fluent/fluentd versioning=loose
FLUENTD = "v1.16.11-debian-1.0"

# Pulumi, its SDKs and its plug-ins, which have one version each.
# renovate: datasource=github-releases depName=pulumi/pulumi extractVersion=^v(?<version>.+)$
PULUMI = "3.246.0"
# The newest language host of Python that is published as a Go module of its own: what it is built with.
# renovate: datasource=go depName=github.com/pulumi/pulumi/sdk/v3 extractVersion=^v(?<version>.+)$
PULUMI_LANGUAGE_HOST = "3.192.0"
# renovate: datasource=github-releases depName=pulumi/pulumi-kubernetes extractVersion=^v(?<version>.+)$
PULUMI_KUBERNETES = "4.25.0"
# renovate: datasource=github-releases depName=pulumi/pulumi-random extractVersion=^v(?<version>.+)$
PULUMI_RANDOM = "4.21.4"
# renovate: datasource=pypi depName=pulumi-policy
PULUMI_POLICY = "1.21.0"

# The local node, and kubectl.
# renovate: datasource=github-releases depName=kubernetes/kubernetes extractVersion=^v(?<version>.+)$
KUBERNETES = "1.34.4"
# renovate: datasource=github-releases depName=etcd-io/etcd extractVersion=^v(?<version>.+)$
ETCD = "3.6.7"
# renovate: datasource=github-releases depName=containerd/containerd extractVersion=^v(?<version>.+)$
CONTAINERD = "2.2.0"
# renovate: datasource=github-releases depName=cloudnativelabs/kube-router extractVersion=^v(?<version>.+)$
KUBE_ROUTER = "2.6.3"
# renovate: datasource=github-releases depName=coredns/coredns extractVersion=^v(?<version>.+)$
COREDNS = "1.12.4"
# renovate: datasource=github-releases depName=kubernetes-sigs/metrics-server extractVersion=^v(?<version>.+)$
METRICS_SERVER = "0.8.0"
# renovate: datasource=github-releases depName=rancher/local-path-provisioner extractVersion=^v(?<version>.+)$
LOCAL_PATH_PROVISIONER = "0.0.30"

# The linter of the workflows.
# renovate: datasource=github-releases depName=rhysd/actionlint extractVersion=^v(?<version>.+)$
ACTIONLINT = "1.7.12"

FLINK_IMAGE = f"flink:{FLINK}-java{JAVA}"
KAFKA_IMAGE = f"apache/kafka:{KAFKA}"
ZOOKEEPER_IMAGE = f"zookeeper:{ZOOKEEPER}"
PROMETHEUS_IMAGE = f"prom/prometheus:v{PROMETHEUS}"
COLLECTOR_IMAGE = f"otel/opentelemetry-collector-contrib:{COLLECTOR}"
