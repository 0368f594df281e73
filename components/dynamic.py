"""The frame of dynamic providers: their base class, errors without a traceback, and warnings that are told once.

A dynamic resource's create, read, update, delete, check and diff run in a process of their own, started by the engine,
where the program does not run.
"""

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import grpc
from pulumi.dynamic import ConfigureRequest, ResourceProvider
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

P = ParamSpec("P")
R = TypeVar("R")

_ENGINE_SECONDS = 10.0

_shown: set[str] = set()
_lock = threading.Lock()


class UserError(Exception):
    """An error that a user can act on. Its message is shown without a traceback."""


class Provider(ResourceProvider):
    """The base of dynamic providers.

    A provider is pickled into the state by reference: the module and the name of its class. State from an older version
    works with newer code as long as both stay what they are.
    """

    serialize_as_secret_always = False  # there is no secret in a name

    def configure(self, req: ConfigureRequest) -> None:
        """Keep what the engine has as the setting `kubeconfig`; see components/reach.py."""
        self._setting: str | None = req.config.get("kubeconfig")


def stored(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Our own part of a resource's properties; the SDK adds to it."""
    return {key: value for key, value in properties.items() if not key.startswith("__")}


def user_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Let a provider's method end with the message of a UserError alone.

    The server would put "Exception calling application" before it and log a traceback; it does neither for a call that
    ends by its own context, which the SDK does not hand on: it is found among the callers. What stops a hundred
    resources is told in full once.
    """

    @functools.wraps(method)
    def calling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except UserError as error:
            for frame in inspect.stack(context=0):
                context = frame.frame.f_locals.get("context")
                if isinstance(context, grpc.ServicerContext):
                    context.abort(grpc.StatusCode.UNKNOWN, _short_if_shown(str(error)))
            raise

    return calling


def _short_if_shown(text: str) -> str:
    with _lock:
        if text in _shown:
            return f"as above: {text.partition(':')[0]}"
        _shown.add(text)
        return text


def say_once(text: str) -> None:
    """Warn the user of something that many resources find, once for each run of the engine."""
    with _lock:
        if text in _shown:
            return
        _shown.add(text)
    program, *arguments = sys.argv
    if not program.endswith("pulumi/dynamic/__main__.py") or not arguments:
        print(text, file=sys.stderr)
        return
    # To the engine's address: the comment on a pull request shows warnings, but not what is written to stderr.
    with grpc.insecure_channel(arguments[0]) as channel:
        request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text)
        engine: Any = engine_pb2_grpc.EngineStub(channel)  # its types are partial
        engine.Log(request, timeout=_ENGINE_SECONDS)
