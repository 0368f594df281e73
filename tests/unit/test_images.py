"""The images: names and keys, which way they come, what is checked, and the scripts inside the stand-ins.

Nothing is built or pulled here: buildah, apt-get and java are small scripts that write down how they were called.
"""

import fcntl
import os
import re
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from console.progress import LocalError
from local import images
from local.images import contract, recipes, registry, store
from local.images.recipes import FOLDERS, HERE, PULLED, Image, build_key, fingerprint
from local.tools import ensure_packages
from versions import COLLECTOR_IMAGE, FLINK_IMAGE, KAFKA_IMAGE

FLINK, PAUSE = FLINK_IMAGE, "localhost/pause:1"
FLINK_TAG = FLINK.rpartition(":")[2]
Program = Callable[[str, str], Path]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/streaming-platform/images"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: Patch) -> Program:
    """Put a bash script first on PATH; it appends its arguments to the returned file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name: str, body: str) -> Path:
        calls = tmp_path / f"{name}.calls"
        script = folder / name
        script.write_text(f'#!/bin/bash\necho "$*" >>{calls}\n{body}\n')
        script.chmod(0o755)
        return calls

    return write


@pytest.mark.parametrize(
    "name", ["localhost/streaming-platform/claims:0123", "registry.example/team/claims:0123", "registry:5000/claims:0"]
)
def test_names_are_spelt_out(name: str) -> None:
    assert recipes.reference(name) == name
    assert recipes.reference(FLINK) == f"docker.io/library/flink:{FLINK_TAG}"
    assert recipes.reference(KAFKA_IMAGE) == f"docker.io/{KAFKA_IMAGE}"


def test_an_archive_is_identified_by_repository_tag_and_key(cache: Path) -> None:
    image = recipes.image("registry.example:5000/team/claims:0123", "abc")
    assert image.archive == cache / "archives/registry.example_5000_team_claims/0123-abc.tar"
    assert (image.origin, recipes.image(FLINK, PULLED).origin) == ("built here", "pulled")


def test_a_key_changes_with_each_of_its_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "a").write_text("1")
    keys = [fingerprint("x", folder), fingerprint("y", folder)]
    (folder / "a").write_text("2")
    keys.append(fingerprint("x", folder))
    (folder / "a").chmod(0o755)
    keys.append(fingerprint("x", folder))
    (folder / "a").rename(folder / "b")
    keys.append(fingerprint("x", folder))
    assert len(set(keys)) == len(keys)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint("x", folder) == keys[-1]


def test_every_java_image_is_built_again_when_the_base_changes(monkeypatch: Patch) -> None:
    before = {name: build_key(name) for name in FOLDERS}
    monkeypatch.setattr(recipes, "base_key", lambda: "another")
    assert {name for name in FOLDERS if build_key(name) == before[name]} == {COLLECTOR_IMAGE, PAUSE}


class Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        _, status, kind = self.path.split("/")
        self.send_response(int(status))
        if kind == "registry":
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def test_a_registry_tells_itself_and_one_that_does_not_answer_costs_little() -> None:
    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        assert re.search("did not answer|timed out", registry.silence(f"{url}/silent", seconds=0.2))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert [registry.silence(f"{url}/{status}/registry") for status in (200, 401)] == ["", ""]
        assert "answered 200, not as a registry" in registry.silence(f"{url}/200/proxy")
        assert "answered 503" in registry.silence(f"{url}/503/registry")
        server.shutdown()
    assert "cannot be reached" in registry.silence(f"{url}/away")


class Way:
    """Stands for the store: notes what was asked of it, and lets an archive appear."""

    def __init__(self, monkeypatch: Patch) -> None:
        self.asked: list[str] = []
        self.lacks: list[str] = []
        self.pull_fails = False
        monkeypatch.setattr(store, "base", lambda: "localhost/base:1")
        monkeypatch.setattr(store, "pull", self.pull)
        monkeypatch.setattr(store, "build", self.build)
        monkeypatch.setattr(contract, "missing", self.missing)

    def pull(self, image: Image) -> None:
        self.asked.append(f"pull {image.reference}")
        if self.pull_fails:
            raise LocalError("buildah pull: exit code 125\ntoo many requests")
        self.write(image)

    def build(self, image: Image, recipe: str, *, base: str | None, files: dict[str, Path]) -> None:
        self.asked.append(f"build {recipe} on {base} with {sorted(files)}")
        self.write(image)

    def missing(self, image: Image) -> list[str]:
        assert image.archive.exists()
        return self.lacks

    def loaded(self, image: Image) -> str:
        return f"the store's {image.name}"

    def write(self, image: Image) -> None:
        image.archive.parent.mkdir(parents=True, exist_ok=True)
        image.archive.write_text("an archive")


@pytest.fixture
def way(monkeypatch: Patch, program: Program) -> Way:
    program("buildah", "")
    return Way(monkeypatch)


def test_an_image_is_pulled_where_the_registry_answers(way: Way, monkeypatch: Patch) -> None:
    monkeypatch.setattr(registry, "silence", lambda: "")
    image = images.ensure(FLINK)
    assert way.asked == [f"pull docker.io/library/{FLINK}"]
    assert (image.origin, image.archive.name) == ("pulled", f"{FLINK_TAG}-pulled.tar")
    assert images.ensure(FLINK) == image
    assert len(way.asked) == 1


@pytest.mark.parametrize("answers", [True, False])
def test_an_image_is_built_otherwise_and_says_why(
    way: Way, monkeypatch: Patch, capsys: pytest.CaptureFixture[str], answers: bool
) -> None:
    monkeypatch.setattr(registry, "silence", lambda: "" if answers else "registry.example cannot be reached")
    way.pull_fails = True
    image = images.ensure(FLINK)
    assert way.asked[-1] == "build flink on localhost/base:1 with []"
    assert len(way.asked) == 1 + answers
    assert image.origin == "built here"
    assert build_key(FLINK) in image.archive.name
    said = capsys.readouterr().out
    assert ("the pull failed: too many requests" if answers else "registry.example cannot be reached") in said


def test_impossible_topics_are_refused(monkeypatch: Patch) -> None:
    monkeypatch.setattr(registry, "silence", lambda: "no answer")
    with pytest.raises(
        LocalError, match=r"flink:9: cannot be pulled \(no answer\), and cannot be built here: .*flink:[\d.]+-java"
    ):
        images.ensure("flink:9")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError, match="root"):
        images.ensure(FLINK)


def test_missing_parts_of_an_image_are_named_each_time(way: Way, monkeypatch: Patch) -> None:
    monkeypatch.setattr(registry, "silence", lambda: pytest.fail("no registry has an image of ours"))
    way.lacks = ["sed: not found", "Java 17: no"]
    for _ in range(2):
        with pytest.raises(LocalError, match=r"pause:1 \(built here\) lacks(.|\n)*sed: not found\n.*Java 17: no"):
            images.ensure(PAUSE)
    way.lacks = []
    assert images.ensure(PAUSE).reference == PAUSE
    assert way.asked == ["build pause on None with []"]


def test_a_changed_contract_is_checked_again(way: Way, tmp_path: Path, monkeypatch: Patch) -> None:
    images.ensure(PAUSE)
    changed = tmp_path / "contract.yaml"
    changed.write_text(contract.FILE.read_text().replace("--version", "--help"))
    monkeypatch.setattr(contract, "FILE", changed)
    way.lacks = ["the program runs: no"]
    with pytest.raises(LocalError, match="the program runs"):
        images.ensure(PAUSE)


def test_a_job_image_follows_its_jar(way: Way, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(registry, "silence", lambda: "no")
    monkeypatch.setattr(store, "loaded", way.loaded)
    jar, name = tmp_path / "my.jar", "localhost/streaming-platform/claims:0123"
    with pytest.raises(LocalError, match=re.escape(str(jar))):
        images.job_image(name, FLINK, jar)
    jar.write_text("one")
    first = images.job_image(name, FLINK, jar)
    assert images.job_image(name, FLINK, jar) == first
    assert way.asked[1:] == [f"build job on the store's {FLINK} with ['job.jar']"]
    jar.write_text("two")
    assert images.job_image(name, FLINK, jar).archive != first.archive
    assert len(way.asked) == 3


def test_one_run_at_a_time(way: Way, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "build-left").mkdir()
    inside = threading.Event()

    def enter() -> None:
        with store.lock():
            inside.set()

    with (cache / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=enter)
        thread.start()
        assert not inside.wait(0.2)
        assert (cache / "build-left").exists()
    thread.join(5)
    assert inside.is_set()
    assert not (cache / "build-left").exists()


def test_missing_programs_are_installed_with_apt(
    program: Program, cache: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    folder = tmp_path / "bin"
    made = f"for name in buildah mmdebstrap; do cp /bin/true {folder}/$name; done"
    calls = program(
        "apt-get", f'[ "$1" = install ] || touch {folder}/updated; [ -e {folder}/updated ] || exit 100; {made}'
    )
    for tool in ("bash", "cp", "touch"):
        (folder / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(folder))
    packages = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
    for _ in range(2):
        ensure_packages(packages)
    install = "install -y --no-install-recommends -o DPkg::Lock::Timeout=300 buildah mmdebstrap"
    assert calls.read_text().splitlines() == [install, "update", install]
    for name in ("apt-get", "mmdebstrap"):
        (folder / name).unlink()
    with pytest.raises(LocalError, match=r"missing: mmdebstrap\. Install"):
        ensure_packages(packages)


def test_an_archive_takes_the_place_of_older_ones(program: Program, cache: Path, monkeypatch: Patch) -> None:
    current = recipes.image(PAUSE, "new")
    older = [recipes.image(PAUSE, key).archive for key in ("old", PULLED)]
    another = recipes.image(FLINK, PULLED).archive
    for path in (*older, older[0].with_suffix(".checked"), another):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")
    names = [store.tag(path) for path in (current.archive, *older, another)]
    calls = program(
        "buildah",
        f"""case "$*" in
      *push*) target=${{!#}}; target=${{target#docker-archive:}}; echo new >"${{target%%:*}}" ;;
      *images*) printf '%s\\n' {" ".join(names)} ;;
    esac""",
    )
    store.pull(current)
    assert sorted(cache.glob("archives/*/*")) == sorted([current.archive, another])
    removed = [line.split()[-1] for line in calls.read_text().splitlines() if " rmi --force " in line]
    assert removed == names[1:3]


def test_every_image_has_a_contract_for_the_user_of_its_pods() -> None:
    users = {folder: entry.user for folder, entry in contract.load().items()}
    flink, others = "9999:9999", "1000:1000"
    of_flink = dict.fromkeys(("flink", "collector", contract.JOB), flink)
    assert users == {
        **of_flink,
        "kafka": others,
        "zookeeper": others,
        "prometheus": "65534:65534",
        "pause": "65535:65535",
    }
    assert {*FOLDERS.values(), contract.JOB} == set(users)
    assert contract.of(recipes.image(FLINK, "key")).user == flink
    assert contract.of(recipes.image("some/job:1", "key")) == contract.load()[contract.JOB]
    with pytest.raises(ValidationError, match="command"):
        contract.Contract.model_validate({"user": flink, "needs": {}, "command": "true"})


def test_a_check_runs_each_line_inside_the_image_and_names_the_failures(
    program: Program, tmp_path: Path, monkeypatch: Patch
) -> None:
    """`unshare` runs the line as it is, without namespaces; `buildah run` runs what comes after its container."""
    program("unshare", 'while [ "$1" != sh ]; do shift; done; exec "$@"')
    program("ip", "")
    calls = program(
        "buildah",
        """while [ $# -gt 0 ]; do case $1 in
      from) echo box; exit ;; images) exit ;; pull) echo id; exit ;;
      --volume) cat "${2%%:*}"/* 2>/dev/null || cat "${2%%:*}"; shift ;; --) shift; exec "$@" ;;
    esac; shift; done""",
    )
    file = tmp_path / "contract.yaml"
    file.write_text(f"""
{contract.JOB}:
  user: "1:2"
  mounts: {{/conf: {{one.cfg: "in a folder\\n"}}, /zoo.cfg: "a file\\n"}}
  needs:
    that works: "true"
    that fails: echo some; echo words; exit 3
    words as they stand: [sh, -c, exit 4]
""")
    monkeypatch.setattr(contract, "FILE", file)
    assert contract.missing(recipes.image("some/job:1", "key")) == [
        "that fails: a file | some | words",
        "words as they stand: in a folder | a file",
    ]
    asked = calls.read_text()
    assert "--user 1:2" in asked
    assert ":/zoo.cfg:ro" in asked
    assert asked.splitlines()[-1].endswith("rm box")


@pytest.fixture
def flink(tmp_path: Path, program: Program, monkeypatch: Patch) -> Callable[..., list[str]]:
    """Run the entrypoint with a java that answers for BashJavaUtils; return the words that the last one got."""
    program(
        "java",
        r"""case "$*" in
      *too-small*) echo 'INFO heap'; echo 'Exception: 1m is too small'; exit 1 ;;
      *UPDATE_AND_GET*)
        printf 'BASH_JAVA_UTILS_EXEC_RESULT:%s\n' 'env.java.opts.all: -Da=1 -Dlogs=$FLINK_LOG_DIR' \
          "env.java.opts.jobmanager: '-Djm=\"two words\"'" "env.java.opts.taskmanager: ${OPTIONS-*.jar}" \
          'envXjava.opts.all: no'
        ;;
      *RESOURCE_PARAMS*)
        echo noise
        printf 'BASH_JAVA_UTILS_EXEC_RESULT:%s\n' "-Xmx$(grep -o GET_.. <<<"$*")" '-D x=1 -D y=2' ;;
      *) printf 'word:%s\n' "$@" ;;
    esac""",
    )
    home = tmp_path / "flink"
    (home / "lib").mkdir(parents=True)
    (home / "bin").symlink_to(HERE / "flink/bin")
    for jar in ("a.jar", "flink-dist-2.3.0.jar", "z.jar"):
        (home / "lib" / jar).touch()
    monkeypatch.chdir(home / "lib")  # a pattern among the options would find the jars
    monkeypatch.setenv("FLINK_HOME", str(home))
    monkeypatch.setenv("DISABLE_JEMALLOC", "true")

    def entrypoint(*arguments: str) -> list[str]:
        command = [HERE / "flink/docker-entrypoint.sh", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        words = [line.removeprefix("word:") for line in done.stdout.splitlines() if line.startswith("word:")]
        return [word.replace(str(home), "HOME") for word in words] or [str(done.returncode), done.stderr]

    return entrypoint


def test_a_taskmanager_starts_with_derived_memory_and_configured_options(flink: Callable[..., list[str]]) -> None:
    words = flink("taskmanager", "-D", "k=v w")
    assert words[:5] == ["-XmxGET_TM", "-XX:+IgnoreUnrecognizedVMOptions", "-Da=1", "-Dlogs=HOME/log", "*.jar"]
    assert words[5].startswith("-Dlog.file=HOME/log/flink--taskexecutor-0-")
    assert words[6:] == [
        "-Dlog4j.configurationFile=file:HOME/conf/log4j-console.properties",
        *("-classpath", "HOME/lib/a.jar:HOME/lib/z.jar:HOME/lib/flink-dist-2.3.0.jar"),
        "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
        *("--configDir", "HOME/conf", "-D", "x=1", "-D", "y=2", "-D", "k=v w"),
    ]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("-Durl=http://x:1/?a=1&b=2;c -Dd=e#f #g", ["-Durl=http://x:1/?a=1&b=2;c", "-Dd=e#f", "#g"]),
        ("-Da=$(touch no) -Db=`touch no` >no", ["-Da=$(touch", "no)", "-Db=`touch", "no`", ">no"]),
        ('-Da="b c"', ["-Da=b c"]),
        ("'-Da=''b  c'' -Dd=\"e\"'", ["-Da=b  c", "-Dd=e"]),
        ('"-Da=\\"b c\\" -Dd"', ["-Da=b c", "-Dd"]),
        ("-Da=${FLINK_LIB_DIR}/x -Db=$NOT_THERE. -Dc=5$", ["-Da=HOME/lib/x", "-Db=.", "-Dc=5$"]),
        ("", []),
    ],
)
def test_options_of_the_jvm_are_words_and_never_run(
    value: str, options: list[str], flink: Callable[..., list[str]], monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OPTIONS", value)
    words = flink("taskmanager")
    assert words[4 : 4 + len(options)] == options
    assert words[4 + len(options)].startswith("-Dlog.file=")
    assert not Path("no").exists()


@pytest.mark.parametrize("value", ['-Da="b', "-Da='b c"])
def test_a_quote_without_an_end_is_named(value: str, flink: Callable[..., list[str]], monkeypatch: Patch) -> None:
    monkeypatch.setenv("OPTIONS", value)
    code, said = flink("taskmanager")
    assert (code, "env.java.opts.taskmanager cannot be split" in said) == ("1", True)
    assert "quote" in said


@pytest.mark.parametrize("command", ["standalone-job", "jobmanager"])
def test_a_jobmanager_starts_with_its_own(flink: Callable[..., list[str]], command: str) -> None:
    words = flink(command, "--job-classname", "C", "-D", "k=v", "--name", "two words")
    assert (words[0], words[4]) == ("-XmxGET_JM", "-Djm=two words")
    assert words[-10:] == ["-D", "x=1", "-D", "y=2", "--job-classname", "C", "-D", "k=v", "--name", "two words"]


def test_the_flink_entrypoint_exits_with_the_reason(flink: Callable[..., list[str]], monkeypatch: Patch) -> None:
    code, said = flink("taskmanager", "-D", "too-small")
    assert (code, "1m is too small" in said) == ("1", True)
    assert flink("sh", "-c", "echo no >&2; exit 7") == ["7", "no\n"]
    monkeypatch.setenv("FLINK_PROPERTIES", "a: b")
    code, said = flink("jobmanager")
    assert (code, "FLINK_PROPERTIES has no effect" in said) == ("1", True)
    assert flink("sh", "-c", "exit 0") == ["0", ""]
