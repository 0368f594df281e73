"""The command lines and configuration files of the local node's programs, as text."""

import configparser
import io
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from versions import ZOOKEEPER_IMAGE

PODS = "10.244.0.0/16"  # all three lie inside the node's network namespace and never meet the machine's networks
SERVICES = "10.96.0.0/16"
DNS = "169.254.20.10"  # an extra address of lo: CoreDNS runs beside the kubelet, pods reach it through the bridge
PAUSE_IMAGE = "localhost/pause:1"
HELPER_IMAGE = ZOOKEEPER_IMAGE  # makes and removes the directories of volumes: any image that has a shell


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One local cluster: its name, its state directory, the tools' directory, and its two addresses."""

    name: str
    state: Path
    bin: Path
    host_ip: str  # the machine's end of the link
    node_ip: str  # the node's end: API server and kubelet listen here
    cni_bin: Path

    @property
    def namespace(self) -> str:
        """Name of the network namespace, the link and the cgroup."""
        return f"sp-{self.name}"

    @property
    def context(self) -> str:
        """Name of the kube context in the cluster's kubeconfigs."""
        return f"streaming-platform-{self.name}"

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def run(self) -> Path:
        """Sockets and the mount namespace: gone when the cluster is down."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def server(self) -> str:
        """Address of the API server, as seen from the machine and from the node."""
        return f"https://{self.node_ip}:6443"

    @property
    def admin_port(self) -> int:
        """First local port for Kafka's `admin` listeners: one range for each cluster, so that two never meet."""
        return 19092 + 100 * (int(self.node_ip.split(".")[2]) - 70)

    @property
    def supervisor_config(self) -> Path:
        return self.state / "supervisord.conf"


def commands(at: Layout) -> dict[str, list[str]]:
    """Command lines of the node's programs, in the order in which they start."""
    keys = at.keys

    def user(name: str) -> str:
        return str(at.state / f"{name}.kubeconfig")

    return {
        "etcd": [
            f"{at.bin}/etcd",
            f"--data-dir={at.state}/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # a cluster for trying out: quick on slow disks
        ],
        "containerd": [f"{at.bin}/containerd", "-c", f"{at.state}/containerd.toml"],
        "kube-apiserver": [
            f"{at.bin}/kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={at.node_ip}",
            f"--advertise-address={at.node_ip}",
            f"--tls-cert-file={keys}/apiserver.crt",
            f"--tls-private-key-file={keys}/apiserver.key",
            f"--client-ca-file={keys}/ca.crt",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            f"--service-account-key-file={keys}/sa.key",
            f"--service-account-signing-key-file={keys}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICES}",
            f"--kubelet-client-certificate={keys}/admin.crt",
            f"--kubelet-client-key={keys}/admin.key",
            f"--kubelet-certificate-authority={keys}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={keys}/ca.crt",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={keys}/front-proxy.crt",
            f"--proxy-client-key-file={keys}/front-proxy.key",
        ],
        "kube-controller-manager": [
            f"{at.bin}/kube-controller-manager",
            f"--kubeconfig={user('controller-manager')}",
            f"--authentication-kubeconfig={user('controller-manager')}",
            f"--authorization-kubeconfig={user('controller-manager')}",
            f"--service-account-private-key-file={keys}/sa.key",
            f"--root-ca-file={keys}/ca.crt",
            "--use-service-account-credentials",
            "--allocate-node-cidrs",
            f"--cluster-cidr={PODS}",
            f"--service-cluster-ip-range={SERVICES}",
            "--leader-elect=false",
        ],
        "kube-scheduler": [
            f"{at.bin}/kube-scheduler",
            f"--kubeconfig={user('scheduler')}",
            "--leader-elect=false",
        ],
        "kube-proxy": [
            f"{at.bin}/kube-proxy",
            f"--kubeconfig={user('proxy')}",
            "--proxy-mode=iptables",
            f"--hostname-override={at.name}",
            f"--cluster-cidr={PODS}",
            # conntrack's limits belong to the machine, not to this namespace
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ],
        "kube-router": [  # of its three parts, the one that enforces NetworkPolicies
            f"{at.bin}/kube-router",
            f"--kubeconfig={user('admin')}",
            f"--hostname-override={at.name}",
            f"--service-cluster-ip-range={SERVICES}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--health-port=0",
        ],
        "kubelet": [
            f"{at.bin}/kubelet",
            f"--config={at.state}/kubelet.yaml",
            f"--kubeconfig={user('kubelet')}",
            f"--hostname-override={at.name}",
            f"--node-ip={at.node_ip}",
            f"--root-dir={at.state}/kubelet",
        ],
        "coredns": [f"{at.bin}/coredns", "-conf", f"{at.state}/Corefile"],
        "metrics-server": [
            f"{at.bin}/metrics-server",
            f"--kubeconfig={user('admin')}",
            f"--authentication-kubeconfig={user('admin')}",
            f"--authorization-kubeconfig={user('admin')}",
            f"--bind-address={at.node_ip}",
            "--secure-port=4443",
            f"--tls-cert-file={keys}/metrics-server.crt",
            f"--tls-private-key-file={keys}/metrics-server.key",
            f"--kubelet-certificate-authority={keys}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=15s",
        ],
        "local-path-provisioner": [
            f"{at.bin}/local-path-provisioner",
            "start",
            f"--kubeconfig={user('admin')}",
            f"--config={at.state}/local-path.json",
            f"--helper-pod-file={at.state}/helper-pod.yaml",
            "--helper-image=none",  # the helper pod's file names its image; this flag only has to be set
            "--namespace=local-path-storage",
            "--service-account-name=default",
            "--configmap-name=local-path-config",
        ],
    }


def supervisor(at: Layout) -> str:
    """supervisord's configuration: each program starts when told to, and again when it dies."""
    parser = configparser.RawConfigParser()
    parser["supervisord"] = {
        "logfile": str(at.logs / "supervisord.log"),
        "pidfile": str(at.run / "supervisord.pid"),
        "childlogdir": str(at.logs),
        "user": "root",
        "directory": str(at.state),
    }
    socket = str(at.run / "supervisor.sock")
    parser["unix_http_server"] = {"file": socket, "chmod": "0600"}
    parser["supervisorctl"] = {"serverurl": f"unix://{socket}"}
    parser["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for name, words in commands(at).items():
        parser[f"program:{name}"] = {
            "command": " ".join(words).replace("%", "%%"),
            "environment": f'KUBECONFIG="{at.state}/admin.kubeconfig",HOME="{Path.home()}"',
            "autostart": "false",
            "autorestart": "true",
            "startsecs": "2",
            "startretries": "5",
            "stopwaitsecs": "5",
            "redirect_stderr": "true",
            "stdout_logfile": str(at.logs / f"{name}.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "1",
        }
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def files(at: Layout) -> dict[str, str]:
    """All configuration files of the node: {path below the state directory: text}."""
    return {
        "supervisord.conf": supervisor(at),
        "containerd.toml": containerd(at),
        "kubelet.yaml": json.dumps(kubelet(at), indent=2),
        "Corefile": f".:53 {{\n  bind {DNS}\n  kubernetes cluster.local {{\n"
        f"    kubeconfig {at.state}/admin.kubeconfig {at.context}\n  }}\n}}\n",
        "cni/10-bridge.conflist": json.dumps(cni(at), indent=2),
        "local-path.json": json.dumps(
            {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [str(at.state / "volumes")]}]}
        ),
        "helper-pod.yaml": yaml.safe_dump(helper_pod()),
    }


def containerd(at: Layout) -> str:
    """containerd's configuration, in version 2 of the format."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{at.state}/containerd"
state = "{at.run}/containerd"
[grpc]
  address = "{at.containerd_socket}"
[plugins."io.containerd.nri.v1.nri"]
  disable = true  # its socket is the machine's
[plugins."io.containerd.internal.v1.opt"]
  path = "{at.state}/containerd-opt"
[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true  # machines without CAP_SYS_RESOURCE cannot set a negative one
  netns_mounts_under_state_dir = true
  [{cri}.cni]
    bin_dir = "{at.cni_bin}"
    conf_dir = "{at.state}/cni"
  [{cri}.containerd]
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = "{at.bin}/containerd-shim-runc-v2"  # on PATH may be another version
      [{cri}.containerd.runtimes.runc.options]
        Root = "{at.run}/runc"
"""


def kubelet(at: Layout) -> dict[str, object]:
    """The kubelet's configuration: authenticated, cgroups below one of our own, eviction only when nearly full."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{at.keys}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "address": at.node_ip,
        "healthzBindAddress": "127.0.0.1",
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{at.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{at.namespace}",
        "failSwapOn": False,
        "failCgroupV1": False,
        "tlsCertFile": f"{at.keys}/kubelet.crt",
        "tlsPrivateKeyFile": f"{at.keys}/kubelet.key",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,  # images are loaded, not pulled: collecting one would lose it
        "podLogsDir": f"{at.logs}/pods",
    }


def cni(at: Layout) -> dict[str, object]:
    """Pods on one bridge, with addresses from a range kept below the state directory."""
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{at.run}/ipam",
                    "ranges": [[{"subnet": PODS.replace("/16", "/24")}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def helper_pod() -> dict[str, object]:
    """The pod that makes and removes a volume's directory."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "containers": [
                {
                    "name": "helper-pod",
                    "image": HELPER_IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "securityContext": {"runAsUser": 0},
                }
            ]
        },
    }


def objects(at: Layout, authority: str) -> list[dict[str, object]]:
    """Kubernetes objects that the node needs: metrics API, storage class. `authority` is the CA in base64."""
    metrics = {"name": "metrics-server", "namespace": "kube-system"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metrics,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 4443}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metrics, "labels": {"kubernetes.io/service-name": "metrics-server"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [at.node_ip]}],
            "ports": [{"name": "https", "port": 4443, "protocol": "TCP"}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "service": metrics,
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": authority,
            },
        },
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "local-path-storage"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "local-path-config", "namespace": "local-path-storage"},
            "data": {
                "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
                "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
            },
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "local-path",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        },
    ]
