"""The base of all settings models: sections, and the types of their values.

A validator raises ValueError, or SectionError where the key at fault is below the section that it checks. The text says
the value, its bound and the remedy; the key is put in front of it.
"""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from components.exact import IMAGE
from components.names import check_name, image_version


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


def three_decimals(why: str) -> Callable[[float], float]:
    """A validator of numbers that have at most three decimals; `why` follows the number in its message."""

    def check(number: float) -> float:
        if abs(number * 1000 - round(number * 1000)) > 1e-9:
            raise ValueError(f"{number} {why}give at most three decimals")
        return number

    return check


def check_cpu(cpu: float, cpu_limit: float) -> None:
    """Raise SectionError for a request of CPU, in cores, above its limit."""
    if cpu > cpu_limit:
        raise SectionError("cpu", f"{cpu} is above cpuLimit, {cpu_limit}: lower cpu, or raise cpuLimit")


def _image(image: str) -> str:
    image_version(image)
    return image


Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int | float | bool)]
Cores = Annotated[
    float, Field(gt=0, le=1024), AfterValidator(three_decimals("cores is finer than Kubernetes counts; "))
]
Storage = Annotated[int, Field(ge=256, le=64 * 1024 * 1024)]
Memory = Annotated[int, Field(ge=64, le=16 * 1024 * 1024)]
Port = Annotated[int, Field(ge=1, le=65535)]
Image = Annotated[str, IMAGE, AfterValidator(_image)]
Namespace = Annotated[str, AfterValidator(check_name)]
