"""The tools of the project, each at its version in versions.py, and the ways to get each.

Downloads are held to local/checksums.json, or to the file that their publisher serves beside them where it has no
entry. What is built from Go modules is held to the go.sum in the checkout.
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from console.paths import cache, lock
from console.progress import LocalError, run, say, step
from local import checksums
from local.install import SHARED, Download, InImage, Tool, ensure_all, fetch, go_build
from versions import (
    ACTIONLINT,
    CONTAINERD,
    COREDNS,
    ETCD,
    KUBE_ROUTER,
    KUBERNETES,
    LOCAL_PATH_PROVISIONER,
    METRICS_SERVER,
    PULUMI,
    PULUMI_KUBERNETES,
    PULUMI_LANGUAGE_HOST,
    PULUMI_RANDOM,
)

_SYSTEM = platform.system().lower()
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_GITHUB = "https://github.com"
_KUBERNETES_SECONDS = {
    "kubectl": 17,
    "kube-apiserver": 89,
    "kube-controller-manager": 47,
    "kube-scheduler": 5,
    "kubelet": 17,
    "kube-proxy": 7,
}
_PYTHON_HOST = SHARED.parent / "pulumi-language-python"
_ACTIONLINT = SHARED.parent / "actionlint"


def _plugin_directory(name: str, version: str) -> Path:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return home / "plugins" / f"resource-{name}-v{version}"


def _build_pulumi(out: Path) -> None:
    version = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
    go_build(
        out, program="pulumi", package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", variables={version: f"v{PULUMI}"}
    )
    # The newest language host that is published as a module of its own; it serves newer engines and SDKs.
    go_build(
        out,
        program="pulumi-language-python",
        package="github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3",
        variables={version: f"v{PULUMI_LANGUAGE_HOST}"},
        module=_PYTHON_HOST,
    )
    sdk = run(["go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"], cwd=_PYTHON_HOST).strip()
    for script in (
        "cmd/pulumi-language-python-exec",
        "dist/pulumi-analyzer-policy-python",
        "dist/pulumi-resource-pulumi-python",
    ):
        target = out / Path(script).name
        shutil.copyfile(Path(sdk) / "python" / script, target)
        target.chmod(0o755)


def _build_random(out: Path) -> None:
    # The provider embeds its schema, which a first program generates.
    name = "pulumi-resource-random"
    with _copy_of_module() as module:
        plugin = module / name / "cmd" / "plugin"
        for embedded in ("schema.json", "bridge-metadata.json"):
            (plugin / embedded).write_text("{}")
        go_build(module, program="generate", package=f"./{name}/cmd/gen", module=module)
        run([module / "generate", "schema", "--out", plugin], cwd=module)
        go_build(out, program=name, package=f"./{name}/cmd/plugin", module=module)


def _build_kubernetes(out: Path) -> None:
    # Of its SDK the provider uses four packages. One file of them needs all others, a Go type for each kind of
    # Kubernetes, which is half of the time that the provider takes to compile: another file is in its place.
    name, sdk = "pulumi-resource-kubernetes", "github.com/pulumi/pulumi-kubernetes/sdk/v4"
    with _copy_of_module() as module:
        source = Path(json.loads(run(["go", "mod", "download", "-json", sdk], cwd=module))["Dir"])
        for package in ("", "utilities", "helm/v4", "yaml/v2"):
            directory = module / "sdk" / "go" / "kubernetes" / package
            directory.mkdir(parents=True)
            for file in (source / "go" / "kubernetes" / package).glob("*.go"):
                shutil.copyfile(file, directory / file.name)
        shutil.copyfile(source / "go.mod", module / "sdk" / "go.mod")
        shutil.copyfile(module / name / "kinds" / "kinds.go", module / "sdk" / "go/kubernetes/yaml/v2/kinds.go")
        run(["go", "mod", "edit", "-replace", f"{sdk}=./sdk"], cwd=module)
        version = "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version"
        go_build(out, program=name, package=f"./{name}", variables={version: PULUMI_KUBERNETES}, module=module)


def _build_containerd(out: Path) -> None:
    package = "github.com/containerd/containerd/v2"
    for program in ("containerd", "containerd-shim-runc-v2", "ctr"):
        variables = {f"{package}/version.Version": CONTAINERD}
        go_build(out, program=program, package=f"{package}/cmd/{program}", variables=variables)


@contextmanager
def _copy_of_module() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(shutil.copytree(SHARED, Path(scratch) / SHARED.name))


def _plugin(name: str, version: str) -> Download:
    release = f"{_GITHUB}/pulumi/pulumi-{name}/releases/download/v{version}"
    return Download(
        url=f"{release}/pulumi-resource-{name}-v{version}-{_SYSTEM}-{_ARCH}.tar.gz",
        checksums=f"{release}/pulumi-{name}_{version}_checksums.txt",
        member="",
    )


def _kubernetes(program: str) -> Tool:
    url = f"https://dl.k8s.io/release/v{KUBERNETES}/bin/{_SYSTEM}/{_ARCH}/{program}"
    variables = {
        f"{package}.{name}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in {
            "gitVersion": f"v{KUBERNETES}",
            "gitMajor": KUBERNETES.split(".", maxsplit=1)[0],
            "gitMinor": KUBERNETES.split(".")[1],
        }.items()
    }
    return Tool(
        name=program,
        version=KUBERNETES,
        programs=[program],
        version_arguments=["version", "--client"] if program == "kubectl" else ["--version"],
        build_seconds=_KUBERNETES_SECONDS[program],
        build=partial(go_build, program=program, package=f"k8s.io/kubernetes/cmd/{program}", variables=variables),
        download=Download(url=url, checksums=f"{url}.sha256"),
    )


def _pulumi_archive() -> Download:
    release = f"{_GITHUB}/pulumi/pulumi/releases/download/v{PULUMI}"
    return Download(
        url=f"{release}/pulumi-v{PULUMI}-{_SYSTEM}-{'x64' if _ARCH == 'amd64' else _ARCH}.tar.gz",
        checksums=f"{release}/pulumi-{PULUMI}-checksums.txt",
        member="pulumi",
    )


def client_tools() -> list[Tool]:
    """Return what every user needs: Pulumi with its Python host, policy analyzer and plug-ins, and kubectl."""
    return [
        Tool(
            name="pulumi",
            version=PULUMI,
            programs=[
                "pulumi",
                "pulumi-language-python",
                "pulumi-language-python-exec",
                "pulumi-analyzer-policy-python",
                "pulumi-resource-pulumi-python",
            ],
            version_arguments=["version"],
            modules=[SHARED, _PYTHON_HOST],
            build_seconds=337,
            build=_build_pulumi,
            download=_pulumi_archive(),
        ),
        Tool(
            name="pulumi-resource-kubernetes",
            version=PULUMI_KUBERNETES,
            programs=["pulumi-resource-kubernetes"],
            build_seconds=109,
            build=_build_kubernetes,
            download=_plugin("kubernetes", PULUMI_KUBERNETES),
            plugin_directory=_plugin_directory("kubernetes", PULUMI_KUBERNETES),
        ),
        Tool(
            name="pulumi-resource-random",
            version=PULUMI_RANDOM,
            programs=["pulumi-resource-random"],
            build_seconds=40,
            build=_build_random,
            download=_plugin("random", PULUMI_RANDOM),
            plugin_directory=_plugin_directory("random", PULUMI_RANDOM),
        ),
        _kubernetes("kubectl"),
    ]


def node_tools() -> list[Tool]:
    """The programs of the local node, beside those that come from the distribution's packages."""
    etcd = f"{_GITHUB}/etcd-io/etcd/releases/download/v{ETCD}"
    containerd = f"{_GITHUB}/containerd/containerd/releases/download/v{CONTAINERD}"
    containerd += f"/containerd-static-{CONTAINERD}-{_SYSTEM}-{_ARCH}.tar.gz"
    router = f"{_GITHUB}/cloudnativelabs/kube-router/releases/download/v{KUBE_ROUTER}"
    coredns = f"{_GITHUB}/coredns/coredns/releases/download/v{COREDNS}/coredns_{COREDNS}_{_SYSTEM}_{_ARCH}.tgz"
    return [
        *(_kubernetes(program) for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")),
        *(_kubernetes(program) for program in ("kubelet", "kube-proxy")),
        Tool(
            name="etcd",
            version=ETCD,
            programs=["etcd"],
            build_seconds=9,
            build=partial(go_build, program="etcd", package="go.etcd.io/etcd/server/v3"),
            download=Download(
                url=f"{etcd}/etcd-v{ETCD}-{_SYSTEM}-{_ARCH}.tar.gz",
                checksums=f"{etcd}/SHA256SUMS",
                member=f"etcd-v{ETCD}-{_SYSTEM}-{_ARCH}",
            ),
        ),
        Tool(
            name="containerd",
            version=CONTAINERD,
            programs=["containerd", "containerd-shim-runc-v2", "ctr"],
            build_seconds=25,
            build=_build_containerd,
            download=Download(url=containerd, checksums=f"{containerd}.sha256sum", member="bin"),
        ),
        Tool(
            name="kube-router",
            version=KUBE_ROUTER,
            programs=["kube-router"],
            build_seconds=7,
            build=partial(
                go_build,
                program="kube-router",
                package="./kube-router",
                variables={"github.com/cloudnativelabs/kube-router/v2/pkg/version.Version": KUBE_ROUTER},
            ),
            download=Download(
                url=f"{router}/kube-router_{KUBE_ROUTER}_{_SYSTEM}_{_ARCH}.tar.gz",
                checksums=f"{router}/kube-router_{KUBE_ROUTER}_checksums.txt",
                member="",
            ),
        ),
        Tool(
            name="coredns",
            version=COREDNS,
            programs=["coredns"],
            version_arguments=["-version"],
            build_seconds=7,
            build=partial(go_build, program="coredns", package="./coredns"),
            download=Download(url=coredns, checksums=f"{coredns}.sha256", member=""),
        ),
        # The publishers of these two have container images only.
        Tool(
            name="metrics-server",
            version=METRICS_SERVER,
            programs=["metrics-server"],
            build_seconds=7,
            build=partial(go_build, program="metrics-server", package="sigs.k8s.io/metrics-server/cmd/metrics-server"),
            download=InImage(
                registry="https://registry.k8s.io",
                image=f"metrics-server/metrics-server:v{METRICS_SERVER}",
                path="/metrics-server",
            ),
        ),
        Tool(
            name="local-path-provisioner",
            version=LOCAL_PATH_PROVISIONER,
            programs=["local-path-provisioner"],
            build_seconds=4,
            build=partial(
                go_build,
                program="local-path-provisioner",
                package="github.com/rancher/local-path-provisioner",
                variables={"main.VERSION": f"v{LOCAL_PATH_PROVISIONER}"},
            ),
            download=InImage(
                registry="https://registry-1.docker.io",
                image=f"rancher/local-path-provisioner:v{LOCAL_PATH_PROVISIONER}",
                path="/usr/bin/local-path-provisioner",
            ),
        ),
    ]


def yaml_host() -> Tool:
    """Pulumi's language host for programs in YAML: the provider for other languages is tested with one."""
    return Tool(
        name="pulumi-language-yaml",
        version=PULUMI,
        programs=["pulumi-language-yaml"],
        version_arguments=["--help"],  # it prints none: one on PATH may be any version, and is not taken
        build=partial(
            go_build,
            program="pulumi-language-yaml",
            package="github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
        ),
        download=_pulumi_archive(),
    )


def actionlint() -> Tool:
    """The linter of the workflow files."""
    release = f"{_GITHUB}/rhysd/actionlint/releases/download/v{ACTIONLINT}"
    package = "github.com/rhysd/actionlint"
    return Tool(
        name="actionlint",
        version=ACTIONLINT,
        programs=["actionlint"],
        version_arguments=["-version"],
        build=partial(
            go_build,
            program="actionlint",
            package=f"{package}/cmd/actionlint",
            variables={f"{package}.version": ACTIONLINT},
            module=_ACTIONLINT,
        ),
        modules=[_ACTIONLINT],
        download=Download(
            url=f"{release}/actionlint_{ACTIONLINT}_{_SYSTEM}_{_ARCH}.tar.gz",
            checksums=f"{release}/actionlint_{ACTIONLINT}_checksums.txt",
            member="",
        ),
    )


def record_checksums() -> None:
    """Download all tools, verify each, and record the missing checksums. Raises LocalError where one cannot be had."""
    found: dict[str, str] = {}
    for tool in (*client_tools(), *node_tools(), yaml_host(), actionlint()):
        if tool.download:
            with tempfile.TemporaryDirectory(prefix="checksums-") as scratch:
                try:
                    found[tool.download.url] = fetch(tool.download, tool.programs, Path(scratch))
                except OSError as error:
                    raise LocalError(f"{tool.name}: {error}") from None
            say(f"  {tool.name} {tool.version}: {found[tool.download.url]}")
    new = checksums.record(found)
    say(
        f"  {len(found)} downloads verified, {len(new)} recorded in {checksums.FILE.name}{': commit it' if new else ''}"
    )


def ensure_tools(tools: list[Tool]) -> tuple[Path, dict[str, str]]:
    """Get all tools; return one directory with links to their programs, and {"name version": the way it came}.

    Pulumi's plug-ins go where Pulumi keeps its own.
    """
    ways: dict[str, str] = {}
    programs: dict[str, Path] = {}
    for tool, (directory, way) in zip(tools, ensure_all(tools), strict=True):
        ways[f"{tool.name} {tool.version}"] = way
        if tool.plugin_directory:
            if directory != tool.plugin_directory:
                _put_plugin(directory, tool.plugin_directory)
        else:
            programs |= {program: directory / program for program in tool.programs}
    key = hashlib.sha256(repr(sorted(programs.items())).encode()).hexdigest()[:12]
    bin_directory = cache() / "tools" / f"bin-{key}"
    with lock(cache() / "tools" / ".bin.lock"):
        bin_directory.mkdir(parents=True, exist_ok=True)
        for program, path in programs.items():
            link = bin_directory / program
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(path)
    return bin_directory, ways


def _put_plugin(source: Path, target: Path) -> None:
    """Put a plug-in where Pulumi looks, as a whole or not at all."""
    with lock(cache() / "tools" / ".plugins.lock"):
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)


# Debian package -> a program of it
NODE_PACKAGES = {
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "ipset": "ipset",
    "iproute2": "ip",
    "openssl": "openssl",
    "util-linux": "nsenter",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}


def ensure_packages(packages: dict[str, str]) -> str:
    """Install the distribution's packages whose program is missing; say which."""
    missing = [package for package, program in packages.items() if not shutil.which(program)]
    if not missing:
        return "found"
    if not shutil.which("apt-get"):
        raise LocalError(f"missing: {', '.join(missing)}. Install these with your distribution's package manager")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *missing]
    with lock(cache() / ".apt.lock"), step(f"installing {' and '.join(missing)} with apt-get"):
        try:
            run(install, env=env)
        except LocalError:  # as a rule the package lists are missing or old
            run(["apt-get", "update"], env=env)
            run(install, env=env)
    return f"installed {', '.join(missing)}"
