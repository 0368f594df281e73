"""JVM options: the shell that starts Flink is asked what it makes of those that are accepted."""

import shlex
import subprocess

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from components.flink.java import JavaOptionsError, contradictions, in_variable, passed_on, refusals
from components.flink.memory import (
    JobManagerOptions,
    TaskManagerOptions,
    job_manager_memory,
    task_manager_memory,
)

TASK_MANAGER = task_manager_memory(TaskManagerOptions(process_mib=1728))
JOB_MANAGER = job_manager_memory(JobManagerOptions(process_mib=1600))

# What the public image does with the value: read it from a line, take the quotes off, evaluate, split.
PUBLIC = r"""
value=$(sed -n 's/^[ ]*env.java.opts.taskmanager[ ]*: \([^#]*\).*$/\1/p' | sed 's/^ *//;s/ *$//' | tail -n 1)
options="-XX:+IgnoreUnrecognizedVMOptions $(echo "$value" | sed -e 's/^"//' -e 's/"$//')"
options=$(eval echo ${options})
printf '%s\n' ${options}
"""
WORDS = st.lists(
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map("-D".__add__),
        st.sampled_from(["-Xmx1g", "-Xlog:gc*:file=/opt/flink/log/x.gc:time", "--add-opens", "java.base/java.io=ALL"]),
    ),
    max_size=4,
)


@settings(deadline=None)  # processes are started
@given(words=WORDS)
@example(words=["-Durl=http://x:1/?a=1,b=2", "-Da=[b]", "-Dc=~", "-Dd=!e", "-Df=%g@h^i"])
def test_accepted_options_reach_the_jvm_unchanged(words: list[str]) -> None:
    value = " ".join(words)
    try:
        accepted = passed_on(value)
    except JavaOptionsError:
        assume(False)
        return
    line = f"env.java.opts.taskmanager: {value}\n"
    done = subprocess.run(["bash", "-c", PUBLIC], input=line, capture_output=True, text=True, check=True, cwd="/")
    assert tuple(done.stdout.splitlines()[1:]) == accepted


@pytest.mark.parametrize("character", list("&;#|<>`'\"$(){}\\\t\né\0"))
def test_words_that_the_shell_would_change_are_named(character: str) -> None:
    with pytest.raises(JavaOptionsError, match="do not hand on as it is written"):
        passed_on(f"-Da=b -Dc={character}")


def test_words_that_are_no_option_are_named() -> None:
    assert passed_on("--add-opens  java.base/java.io=ALL-UNNAMED  -Da") == (
        *("--add-opens", "java.base/java.io=ALL-UNNAMED", "-Da"),
    )
    for value in ("-Da b", "b", "--add-opens=a/b=c d", "--add-opens *"):
        with pytest.raises(JavaOptionsError, match="is no option"):
            passed_on(value)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("-Xmx2g", "-Xmx2g is 2048 MiB, where Flink gives a TaskManager 448 MiB (heap: 128 MiB for Flink and 320 MiB"),
        ("-mx2g", "not 1600 MiB more"),
        ("-XX:MaxHeapSize=0x10000000", "is 256 MiB"),
        ("-Xmx256m", "192 MiB of it could not be used"),
        ("-Xms2g", "the limit of 1728 MiB holds 448 MiB of it"),
        ("-Xmn1G", "holds 448 MiB"),
        ("-XX:MaxDirectMemorySize=4g", "128 MiB for Flink, 64 MiB for tasks and 128 MiB for the network"),
        ("-XX:MaxDirectMemorySize=0", "0 means no bound"),
        ("-XX:MaxMetaspaceSize=4g", "256 MiB (metaspace)"),
        ("-Xss512m", "192 MiB (JVM overhead"),
        ("-XX:ThreadStackSize=524288", "is 512 MiB"),
        ("-XX:ReservedCodeCacheSize=1g", "192 MiB (JVM overhead"),
    ],
)
def test_sizes_that_contradict_the_memory_are_reported_with_the_sum(option: str, told: str) -> None:
    (text,) = contradictions([option], TASK_MANAGER)
    assert told in text


@pytest.mark.parametrize(
    "option",
    [
        f"-Xmx{TASK_MANAGER.jvm_heap}",
        "-Xmx448m",
        "-Xms64m",
        "-Xmn100m",
        "-XX:MaxDirectMemorySize=320M",
        "-XX:MaxMetaspaceSize=128m",
        "-Xss1m",
        "-XX:ThreadStackSize=1024",
        "-XX:MaxRAMPercentage=90",
        "-Dx=-Xmx9g",
        "-XX:+UseZGC",
    ],
)
def test_sizes_that_fit_and_options_without_a_size_are_accepted(option: str) -> None:
    assert list(contradictions([option], TASK_MANAGER)) == []


@pytest.mark.parametrize(
    "option",
    ["-Xmx2gb", "-Xmx", "-Xms1.5g", "-Xmx$(HEAP)", "-Xss-1", "@options", "-XX:Flags=file", "-XX:VMOptionsFile=file"],
)
def test_sizes_that_cannot_be_read_are_refused(option: str) -> None:
    with pytest.raises(JavaOptionsError, match=r"no size|names a file"):
        list(contradictions([option], JOB_MANAGER))


def test_a_jobmanagers_direct_memory_may_be_bounded() -> None:
    assert list(contradictions(["-XX:MaxDirectMemorySize=64m"], JOB_MANAGER)) == []
    (text,) = contradictions(["-XX:MaxDirectMemorySize=1g"], JOB_MANAGER)
    assert "128 MiB (off-heap memory)" in text


def test_each_option_is_held_against_the_processes_that_get_it() -> None:
    def refused(key: str, value: str) -> int:
        return len(refusals({key: value}, TASK_MANAGER, JOB_MANAGER))

    heap = f"-Xmx{JOB_MANAGER.jvm_heap}"
    assert refused("env.java.opts.jobmanager", heap) == 0
    assert refused("env.java.opts.taskmanager", heap) == 1
    assert refused("env.java.default-opts.all", heap) == 1
    assert refused("env.java.default-opts.taskmanager", "-Xmx9g") == 1
    assert refused("env.java.default-opts.all", "-Xmx9g") == 2
    assert refused("env.java.opts.client", "-Xmx9g") == 0
    assert refused("env.java.opts.client", "-Da=&") == 1
    assert refused("env.javax", "-Xmx9g") == 0


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1)))
def test_a_variables_words_are_those_that_were_quoted(words: list[str]) -> None:
    assume(not any("'" in word for word in words))
    assert in_variable(" ".join(f"'{word}'" for word in words)) == tuple(words)
    assert in_variable(shlex.join(words)) == tuple(words)


def test_a_variables_quotes_have_an_end() -> None:
    assert in_variable('-Da="b c"d  -De') == ("-Da=b cd", "-De")
    with pytest.raises(JavaOptionsError, match="without an end"):
        in_variable("-Da='b c")
