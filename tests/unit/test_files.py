"""Stack files as they are read: what is written arrives, or is refused; whoever wrote the file last."""

from pathlib import Path

import pytest
import yaml

from stacks.settings import EnvironmentSettings, SettingsError, load_file

HEAD = "config:\n  streaming-platform:kind: environment\n  streaming-platform:environment: dev\n"
ARGUMENT = """
  streaming-platform:flink: {clusters: {c: {image: 'a:1', mainClass: M, arguments: [
    %s
  ]}}}
"""


def load(tmp_path: Path, text: str) -> EnvironmentSettings:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    loaded = load_file(path)
    assert isinstance(loaded, EnvironmentSettings)
    return loaded


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        *("on", "On", "OFF", "yes", "no", "True", "FALSE"),
        *("012", "0123456", "08", "+1", "-0", "1_000", "0x1F", "0b11", "0o17", "9223372036854775808"),
        *("1e3", "1.0e10", "1234e56", "1.", ".5", "+1.5", ".nan", ".inf", "-.INF"),
        *(
            "12:30",
            "12:30:00",
            "1:30.5",
            "0o-4",
            "0b+1",
            "2026-01-02",
            "2026-1-2",
            "2026-01-02T10:00:00Z",
            "2026-01-02 10:00:00",
        ),
        *("<<", "Null", "NULL"),
    ],
)
def test_a_word_that_readers_of_yaml_take_differently_is_refused(word: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, ARGUMENT % word)
    assert said.startswith(
        f"streaming-platform:flink.clusters.c.arguments.0: {word!r} in line 6 is not the same to every reader of YAML: "
        "put it in quotes"
    )
    assert len(said.splitlines()) == 1
    for quoted in (f"'{word}'", f'"{word}"', f"!!str {word}"):
        assert load(tmp_path, ARGUMENT % quoted).flink.clusters["c"].arguments == (word,)


@pytest.mark.parametrize("number", ["1.10", "0.50", "1.0", "0.00001", "-0.0"])
def test_a_number_that_would_be_another_text_is_refused_where_text_is_asked_for(number: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, ARGUMENT % number) == (
        f"streaming-platform:flink.clusters.c.arguments.0: {number} is a number, and would not arrive as it is "
        "written: put it in quotes"
    )


def test_a_number_may_be_written_with_any_decimals_where_a_number_is_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, "  streaming-platform:zookeeper: {cpu: 1.10}\n").zookeeper.cpu == 1.1
    assert load(tmp_path, "  streaming-platform:zookeeper: {cpu: 2.0}\n").zookeeper.cpu == 2
    assert "3.0 is a number: write a whole number" in refusal(tmp_path, "  streaming-platform:kafka: {brokers: 3.0}\n")


@pytest.mark.parametrize(
    "word",
    [
        *("true", "false", "0", "-1", "12321123131", "9223372036854775807", "-9223372036854775808", "0.1", "-1.5"),
        *("=", "y", "N", "kafka:9092", "10.0.0.1", "1.2.3", "1728m", "2.3.0-java17", "--x", "-Xmx2g", "a#b", "0x"),
        *("2026-01", "1234f56", "12:60:00x", "é"),
    ],
)
def test_a_word_arrives_as_it_is_written(word: str, tmp_path: Path) -> None:
    assert load(tmp_path, ARGUMENT % word).flink.clusters["c"].arguments == (word,)


@pytest.mark.parametrize("key", ["on", "1.10", "2026-01-02", "012", "~", "null", "1e3", "1.0", "1234567.5"])
def test_a_key_that_readers_of_yaml_take_differently_is_refused(key: str, tmp_path: Path) -> None:
    topic = "{partitions: 1, replicas: 1}"
    said = refusal(tmp_path, f"  streaming-platform:kafka: {{topics: {{{key}: {topic}}}}}\n")
    assert said.startswith(f"streaming-platform:kafka.topics.{key}: {key!r} in line 4 is not the same to every reader")
    loaded = load(
        tmp_path, f"  streaming-platform:kafka: {{topics: {{'{key.strip('~') or 'x'}': {topic}, 5: {topic}}}}}\n"
    )
    assert set(loaded.kafka.topics) == {key.strip("~") or "x", "5"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  5: x\n  1: x\n", "5: no such setting"),
        ("  on: x\n", "on: 'on' in line 4"),
        (
            "  streaming-platform:kubeconfig:\n",
            "streaming-platform:kubeconfig: is empty: write a value, or leave it out",
        ),
        ("  2026-01-02: x\n", "2026-01-02: '2026-01-02' in line 4"),
        ("  streaming-platform:kafka: &a {topics: *a}\n", "kafka.topics: what begins in line 4 contains itself: write"),
        ("  streaming-platform:kafka: &a [*a]\n", "kafka.0: what begins in line 4 contains itself: write it out"),
        ("  ? [a]\n  : x\n", "a list or a mapping is a key in line 4: write text"),
        ("  streaming-platform:kafka: !!set {a}\n", "kafka: tag:yaml.org,2002:set in line 4 is no tag that is taken"),
        ("  streaming-platform:kafka: !x 5\n", "kafka: !x in line 4 is no tag that is taken: leave it out"),
        ("  streaming-platform:kafka: ! 5\n", "kafka: ! in line 4 is no tag that is taken: leave it out"),
        ("  streaming-platform:kafka: !!binary aGk=\n", "tag:yaml.org,2002:binary in line 4 is no tag that is taken"),
        ("  streaming-platform:kafka: {<<: 5}\n", "kafka: << in line 4 takes a mapping or a list of mappings"),
        ("  streaming-platform:kafka: {<<: [5]}\n", "kafka: << in line 4 takes a mapping or a list of mappings"),
        ("  streaming-platform:kafka: {<<: {}, <<: {}}\n", "kafka.<<: stands twice, again in line 4"),
        ('  streaming-platform:kafka: "\\ud800"\n', "kafka: line 4 has half a character"),
        ('  streaming-platform:kafka: "\\U00110000"\n', "is not YAML: a \\U escape in it is no character: correct it"),
        ("  streaming-platform:kafka: \x01\n", "is not YAML: unacceptable character"),
        ("  streaming-platform:kafka: {a: 1\n", "is not YAML in line 5: "),
        ("---\na: 1\n", "is not YAML in line 4: but found another document: correct it"),
        (f"  streaming-platform:kafka: {'[' * 2000}{']' * 2000}\n", "is nested too deeply"),
        (
            "  a0: &a0 [x, x]\n" + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
            "has more than 100000 values: its aliases multiply",
        ),
    ],
)
def test_an_invalid_stack_file_gives_one_message(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, text)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_bytes((HEAD + "# caf\xe9\n").encode("latin-1"))
    with pytest.raises(SettingsError, match=r"Pulumi\.dev\.yaml: line 4 is not UTF-8: save the file in that encoding"):
        load_file(path)
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "# café\n").encode())  # with a mark for its byte order
    assert isinstance(load_file(path), EnvironmentSettings)


def test_clusters_share_their_common_parts(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        """  streaming-platform:flink:
    clusters:
      a: &a {image: 'a:1', mainClass: A, arguments: [x], pod: &pod {nodeSelector: {disk: fast}}}
      b: {mainClass: B, <<: *a}
      c: {<<: [{mainClass: C, image: 'c:1'}, *a], arguments: [z], pod: {<<: *pod}}
""",
    )
    told = {name: (each.main_class, each.image, each.arguments) for name, each in loaded.flink.clusters.items()}
    assert told == {"a": ("A", "a:1", ("x",)), "b": ("B", "a:1", ("x",)), "c": ("C", "c:1", ("z",))}
    assert {each.pod.node_selector["disk"] for each in loaded.flink.clusters.values()} == {"fast"}


def test_a_file_that_pulumi_has_written_to_means_the_same_as_before(tmp_path: Path) -> None:
    text = "  streaming-platform:dataProtection: {0}\n  streaming-platform:allowHostPath: {1}\n"
    before = load(tmp_path, text.format("false", "true"))
    after = load(tmp_path, text.format('"false"', '"true"') + "encryptionsalt: v1:a:v1:b:c=\n")
    assert before == after
    assert (after.data_protection, after.allow_host_path) == (False, True)
    section = "  streaming-platform:kafka: {0}\n"
    assert load(tmp_path, section.format("{brokers: 1}")) == load(tmp_path, section.format("'{\"brokers\": 1}'"))


def test_other_readers_of_the_stack_file_see_the_same_values(tmp_path: Path) -> None:
    """PyYAML reads 1.1: what is taken here must be the same there, or an editor, a script or a test is misled."""
    loaded = load(tmp_path, ARGUMENT % "true, 5, 0.5, y, 'on', 1728m")
    document = yaml.safe_load((tmp_path / "Pulumi.dev.yaml").read_text())
    arguments = document["config"]["streaming-platform:flink"]["clusters"]["c"]["arguments"]
    assert arguments == [True, 5, 0.5, "y", "on", "1728m"]
    assert loaded.flink.clusters["c"].arguments == ("true", "5", "0.5", "y", "on", "1728m")
