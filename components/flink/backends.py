"""Flink's state backends: the names that Flink accepts for each."""

import re

# By short name, the classes that stand for it: Flink takes either, the short one in any case.
_CLASSES = {
    "hashmap": ("org.apache.flink.runtime.state.hashmap.HashMapStateBackendFactory",),
    "rocksdb": (
        "org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackendFactory",
        "org.apache.flink.contrib.streaming.state.EmbeddedRocksDBStateBackendFactory",
    ),
    "forst": ("org.apache.flink.state.forst.ForStStateBackendFactory",),
}
BACKENDS = tuple(_CLASSES)
MANAGED_BACKENDS = ("forst", "rocksdb")  # their caches and write buffers are in managed memory

_CLASS = re.compile(r"([A-Za-z_$][\w$]*\.)+[A-Za-z_$][\w$]*")


def state_backend(value: str) -> str | None:
    """The short name of the backend that a value of `state.backend.type` means.

    Another factory's class is its own name. None for what Flink could not load.
    """
    name = value.strip()
    for short, classes in _CLASSES.items():
        if name.lower() == short or name in classes:
            return short
    return name if _CLASS.fullmatch(name) else None
