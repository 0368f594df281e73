"""A check whether the registry of the public images can be reached."""

import functools
import threading
import urllib.error
import urllib.request
from http import HTTPStatus

REGISTRY = "https://registry-1.docker.io/v2/"  # where names without a host of their own lead
SECONDS = 3.0  # an answer takes well under one; without a network no longer wait is justified


@functools.cache
def silence(url: str = REGISTRY, seconds: float = SECONDS) -> str:
    """Return why the registry does not answer, or "" when it does. Asked once in each process.

    A registry tells itself by a header, also when it wants credentials first (401); a proxy's own page does not.
    """
    host = url.split("/")[2]
    reasons = [f"{host} did not answer within {seconds:.0f} s"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                status, headers = answer.status, answer.headers
        except urllib.error.HTTPError as error:
            status, headers = error.code, error.headers
        except (OSError, ValueError) as error:
            reasons[0] = f"{host} cannot be reached ({error})"
            return
        is_registry = "Docker-Distribution-Api-Version" in headers
        if is_registry and status in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED):
            reasons[0] = ""
        else:
            reasons[0] = f"{host} answered {status}, not as a registry does"

    # A thread, as looking up the host's name has no time-out of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return reasons[0]
