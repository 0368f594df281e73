"""The administrator's way to a local node's API server, for tests that ask it without kubectl."""

import ssl

from local.node.config import Layout


def tls(node: Layout) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(node.keys / "ca.crt"))
    context.load_cert_chain(node.keys / "admin.crt", node.keys / "admin.key")
    return context
