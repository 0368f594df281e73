"""Keys and certificates of one local cluster, made by openssl; every file that holds a key is 0600."""

import json
from pathlib import Path

from console.progress import run

DAYS = 3650  # a platform that was taken down keeps its keys: they should outlive the pause


def make_authority(directory: Path, name: str) -> None:
    """Make the cluster's certificate authority and the key that signs service account tokens."""
    _key(directory / "sa.key")
    _key(directory / "ca.key")
    files: list[str | Path] = ["-key", directory / "ca.key", "-out", directory / "ca.crt"]
    run(["openssl", "req", "-x509", "-new", *files, "-days", str(DAYS), "-subj", f"/CN={name}"])


def make_certificate(directory: Path, file: str, subject: str, names: str) -> None:
    """Make a certificate for an OpenSSL subject (`/O=group/CN=user`) and subject alternative names (`DNS:x,IP:y`)."""
    key, request, certificate = (directory / f"{file}.{end}" for end in ("key", "csr", "crt"))
    _key(key)
    run(["openssl", "req", "-new", "-key", key, "-out", request, "-subj", subject])
    extensions = directory / f"{file}.ext"
    extensions.write_text(f"subjectAltName={names}\n")
    authority: list[str | Path] = ["-CA", directory / "ca.crt", "-CAkey", directory / "ca.key", "-CAcreateserial"]
    files: list[str | Path] = ["-in", request, "-out", certificate, "-extfile", extensions]
    run(["openssl", "x509", "-req", *files, *authority, "-days", str(DAYS)])
    request.unlink()
    extensions.unlink()


def kubeconfig(directory: Path, file: str, *, cluster: str, server: str) -> str:
    """Render a kubeconfig whose user is the certificate `file`; the context is named after the cluster."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": cluster, "cluster": {"server": server, "certificate-authority": str(directory / "ca.crt")}}
            ],
            "users": [
                {
                    "name": file,
                    "user": {
                        "client-certificate": str(directory / f"{file}.crt"),
                        "client-key": str(directory / f"{file}.key"),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": file}}],
            "current-context": cluster,
        },
        indent=2,
    )


def _key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
    path.chmod(0o600)
