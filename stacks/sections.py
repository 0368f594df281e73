"""What the settings models are made of: sections, and the types of their values.

A validator raises ValueError, or SectionError where the key at fault lies below the section that it looks at. Their
text says the value, its bound and the remedy; the key is put in front of it.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from components.names import FLINK_CLUSTER, check_name, image_version
from components.topic_rules import name_problem
from stacks.exact import IMAGE

_TAKEN_NAMES = ("kafka", "zookeeper")  # their ConfigMaps are called <name>-config, as a Flink cluster's


class SectionError(ValueError):
    """A value that is wrong beside another one: `key` is its path below the section that is being validated."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Section(BaseModel):
    """A mapping in a stack file: keys in camelCase, no unknown ones, values of exactly the type that is asked for."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        strict=True,
        use_attribute_docstrings=True,
    )


def _text(value: object) -> object:
    """YAML reads `3` and `true` as a number and a boolean where a program wants their text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _thousandths(cpus: float) -> float:
    if abs(cpus * 1000 - round(cpus * 1000)) > 1e-6:
        raise ValueError(f"{cpus} cores is finer than Kubernetes counts; give at most three decimals")
    return cpus


def _image(image: str) -> str:
    image_version(image)
    return image


def _topic_name(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


def _flink_cluster_name(name: str) -> str:
    if name in _TAKEN_NAMES:
        raise ValueError(f"name {name!r} is taken by the platform: choose one other than {' and '.join(_TAKEN_NAMES)}")
    return check_name(name, FLINK_CLUSTER)


def odd(members: int) -> int:
    """For AfterValidator: members of an ensemble, of which more than half must live."""
    if members % 2 == 0:
        raise ValueError(
            f"{members} is even, and survives no more failures than {members - 1}: "
            f"use an odd number from 1 to 7, such as {members + 1 if members < 7 else 7}"
        )
    return members


Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int | float | bool)]
Cores = Annotated[float, Field(gt=0, le=1024), AfterValidator(_thousandths)]
Storage = Annotated[int, Field(ge=256, le=64 * 1024 * 1024)]
Memory = Annotated[int, Field(ge=64, le=16 * 1024 * 1024)]
Image = Annotated[str, IMAGE, AfterValidator(_image)]
Namespace = Annotated[str, AfterValidator(check_name)]
TopicName = Annotated[str, AfterValidator(_topic_name)]
FlinkClusterName = Annotated[str, AfterValidator(_flink_cluster_name)]
