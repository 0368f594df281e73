"""The mask over secrets: what is hidden in which form, what is left as it is, and that all who print use it."""

from typing import Any

import pytest

from components.secrets.looks import is_secret, names_secret
from components.secrets.mask import MASK, mask, masked, secret_names, shown
from stacks.settings import SettingsError, parse

_TEXTS = [
    # YAML: scalars of each style, on the same line and below, in lists and flow mappings
    "password: hunter2x",
    'password: "hunter2x"',
    "password : hunter2x",
    "password: 'it''s hunter2x'",
    'password: "a \\" hunter2x"',
    "password: correct horse hunter2x",
    "password: abc\n  hunter2x\nuser: a",
    'password: "abc\n  hunter2x"\nuser: a',
    "password: |\n  hunter2x\n\n  hunter2x\nuser: a",
    "token: >-\n    hunter2x\n",
    "token: |2+ # as it is\n    hunter2x\n",
    "password:\n  hunter2x\n",
    'password:\n  "hunter2x"\nuser: 1',
    "tokens: [hunter2x, hunter2x]",
    "tokens:\n- hunter2x\n- hunter2x\n",
    "tokens:\n  - hunter2x\n",
    "{user: a, password: correct hunter2x, next: 1}",
    "db: {password: hunter2x}",
    "# password: hunter2x",
    "- user: a\r\n  password: hunter2x\r\n",
    # values that begin or look like something else
    "password: '{aes}hunter2x'",
    "password: {aes}hunter2x",
    "password=$ecret-hunter2x",
    "password: <hunter2x>",
    "password: /hunter2x",
    "password: //hunter2x/9j4",
    "PASSWORD_PARAMS: hunter2x",
    # JSON
    '{"user": "a", "password":"hunter2x", "next": 1}',
    '"password":\n   "hunter2x"',
    r'"{\"user\": \"a\", \"password\": \"hunter2x\"}"',
    r'{"a": "{\"b\": \"{\\\"password\\\": \\\"hunter2x\\\"}\"}"}',
    '{"auths": {"registry.example": {"auth": "hunter2x"}}}',
    # properties, shells, JVMs, connection strings
    "a=b\nsasl.password = hunter2x\n",
    "password=abc\\\n  hunter2x\nuser=a",
    "export X_PASSWORD=hunter2x",
    "DB_PASS=hunter2x",
    "DB_PWD: hunter2x",
    "DB_PASSWORD_1=hunter2x",
    "dbPass=hunter2x",
    "secret=hunter2x",
    "credentials: hunter2x",
    "a.token.x: hunter2x",
    "accessKeySecret: hunter2x",
    "fs.azure.account.key.claims.dfs.core.windows.net: hunter2x",
    "containerized.taskmanager.env.DB_SECRET: hunter2x",
    "pipeline.global-job-parameters: db.user:a,db.secret:hunter2x,db.port:1",
    'sasl.jaas.config=x.PlainLoginModule required username="a" password="hunter2x";',
    "jdbc:sqlserver://h;user=a;password=hunter2x;encrypt=true",
    "AccountKey=hunter2x;EndpointSuffix=core.windows.net",
    '"password" => "hunter2x"',
    # command lines
    "--password hunter2x",
    "run --id 1 --db-secret=hunter2x",
    "run --password 'correct hunter2x' --next",
    'mysql --password=hun"hunter2x',
    'sh -c "run --password hunter2x --next"',
    '["--password", "hunter2x"]',
    "args:\n- --password\n- hunter2x",
    '- "--api-token"\n- "hunter2x"',
    "-Djavax.net.ssl.trustStorePassword=hunter2x",
    "curl -u app:hunter2x https://example.com",
    "machine example.com login app password hunter2x",
    # fluentd and nginx
    "password hunter2x",
    "<match **>\n  user app\n  password hunter2x\n  secret_key 'hunter2x'\n</match>",
    # headers and URLs
    "Authorization: Bearer hunter2x",
    "Authorization: Basic hunter2x",
    "Authorization: hunter2x",
    'curl -H "Authorization: Bearer hunter2x" https://example.com',
    '"Authorization", "Bearer hunter2x"',
    "postgres://app:hunter2x@db/claims",
    "postgres://app:hun/hunter2x@db/claims",
    "postgres://app:p@hunter2x@db/claims",
    "redis://:hunter2x@cache:6379",
    "https://hunter2x@github.com/a/b",
    "https://example.com/?a=1&access_token=hunter2x&b=1",
    "https://account.blob.core.windows.net/c?sv=1&sig=hunter2x",
    # names and values apart
    "env: [{name: DB_PASSWORD, value: hunter2x}]",
    "env: [{value: hunter2x, name: DB_PASSWORD}]",
    '[{"name":"DB_PASSWORD","value":"hunter2x"}]',
    "env:\n- name: CLIENT_SECRET # ours\n  value: hunter2x\n",
    "env:\n- value: hunter2x\n  name: CLIENT_SECRET\n",
    "env:\n- name: CLIENT_SECRET\n  value: |\n    hunter2x\n",
    "<property><name>fs.azure.account.key.x</name>\n<value>hunter2x</value></property>",
    "<password>hunter2x</password>",
    '<user name="a" password="hunter2x"/>',
    # manifests and kubeconfigs
    "users:\n- name: a\n  user:\n    client-key-data: hunter2x",
    ".dockerconfigjson: hunter2x",
    "binaryData:\n  a: hunter2x==\n",
    '{"apiVersion":"v1","kind":"Secret","data":{"a":"hunter2x"}}',
    r'{"x":"{\"kind\": \"Secret\", \"data\": {\"a\": \"hunter2x\"}}"}',
    "{kind: Secret, stringData: {a: hunter2x}}",
    "kind: Secret\ndata:\n  a: hunter2x\n",
    "apiVersion: v1\r\nkind: Secret\r\ndata:\r\n  a: hunter2x\r\n",
    "kind: Secret # ours\ndata:\n  a: hunter2x",
    "kind: 'Secret'\ndata: {a: hunter2x}",
    "kind: SecretList\nitems:\n- data: {a: hunter2x}",
    # our own words
    "Flink option s3.secret-key = 'hunter2x' is not yours to set: whoever reads the ConfigMap would know it",
]


@pytest.mark.parametrize("text", _TEXTS)
def test_a_secret_in_a_text_is_masked(text: str) -> None:
    assert "hunter2x" not in masked(text)
    assert MASK in masked(text)
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_f3a9b77c0d1e2f3a4b5c6d7e8f9a0b1c2d3e",
        "github_pat_11ABCDEFG0aBcDeFgHiJ",
        "glpat-f3a9b77c0d1e2f3a4b5c",
        "xoxb-1234567890-f3a9b77c0d",
        "https://hooks.slack.com/services/T0/B0/f3a9b77c0d".removeprefix("https://"),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEf3a9\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEf3a9 cut off",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nxx\n-----END PGP PRIVATE KEY BLOCK-----",
        "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFZjNhOQ==",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUVmM2E5",
    ],
)
def test_a_secret_is_known_by_its_looks(secret: str) -> None:
    for text in (secret, f"a: {secret}\n", f"see {secret}, please", f'{{"a": "{secret}"}}'):
        assert secret[-5:] not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "kubernetes:kubeconfig: no such setting (its value is 'x')",
        "streaming-platform:kubeconfig: is missing, and has no default: add it",
        "streaming-platform:kubeconfig: is not encrypted: set it with `pulumi config set --secret kubeconfig`",
        "streaming-platform:flink.clusters.claims.pod.env.0.name: 'A' is from s3.secret: leave one of them out",
        "variable DB_PASSWORD has its value in plain text; put it into a Secret (valueFrom.secretKeyRef)",
        'secrets "claims-keys" not found',
        'cannot list resource "secrets" in API group "" in the namespace "dev"',
        "Basic authentication, or a bearer token",
        "urn:pulumi:dev::p::kubernetes:core/v1:Secret::a",
        "urn:pulumi:dev::p::random:index/randomPassword:RandomPassword::a",
        "image: registry.example/token:1.2",
        "fs.s3a.aws.credentials.provider: com.amazonaws.WebIdentity\nkind: SecretStore\n",
        "sasl.oauthbearer.token.endpoint.url=https://login.example/token",
        "security.delegation.tokens.enabled: false",
        "volumes:\n- secret:\n    secretName: tls\n",
        "valueFrom:\n  secretKeyRef:\n    name: database\n    key: password\n",
        "imagePullSecrets:\n- name: registry\n",
        "rules:\n- resources: [secrets]\n  verbs: [get]\n",
        "secret: claims-keys",
        "existingSecret: abc",
        "password: ${DB_PASSWORD}",
        "password: $(DB_PASSWORD)",
        "--password $(DB_PASSWORD)",
        "password \"#{ENV['OUT_PASSWORD']}\"",
        "shared_key \"#{ENV.fetch('OUT_SHARED_KEY')}\"",
        'TOKEN=$token timeout 10 run\ntoken=$(<"$FLINK_HOME/conf/rest-token")\n',
        "password_file=/etc/secrets/password",
        "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token",
        "token: /var/run/secrets/kubernetes.io/serviceaccount/token",
        "automountServiceAccountToken: false",
        "tokenExpirationSeconds: 3600",
        "max_tokens: 512",
        "bypass: 3",
        "primary.key: id",
        "http://kafka:9092/path@1",
        "ssh://git@github.com/a/b",
        "https://github.com/a/b@v1",
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
        "server.1=zookeeper-0:2888:3888;2181",
        "client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUNmM2E5MDEyMzQ1",
    ],
)
def test_texts_without_secrets_are_unchanged(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "value",
    [
        {"password": "hunter2x"},
        {"password": {"a": ["x", {"token": "hunter2x"}]}},
        {"DB_PASSWORD_1": "hunter2x", "DB_PASS": "hunter2x", "DB_PWD": "hunter2x", "BASIC_AUTH": "a:hunter2x"},
        {"fs.azure.account.key.x": "hunter2x", "flink.hadoop.fs.oss.accessKeySecret": "hunter2x"},
        {"env": [{"name": "DB_SECRET", "value": "hunter2x"}]},
        {"nam": "DB_SECRET", "value": "hunter2x"},
        {"args": ["--db-secret", "hunter2x"]},
        {"args": ["--db-secret=hunter2x"]},
        {"args": ["-H", "Authorization: Basic hunter2x"]},
        {"args": ["a", "--url", "postgres://a:hunter2x@db"]},
        {"binaryData": {"a": "hunter2x"}},
        {"kind": "Secret", "data": {"a": "hunter2x"}, "stringData": {"b": "hunter2x"}},
        {"kind": "SecretList", "items": [{"data": {"a": "hunter2x"}}]},
        {"data": {".env": "A=b\nDB_SECRET=hunter2x\n"}},
        {"tokens": ["hunter2x"]},
    ],
)
def test_a_secret_in_properties_is_masked(value: dict[str, Any]) -> None:
    assert "hunter2x" not in str(mask(value))
    assert MASK in str(mask(value))


def test_numbers_are_secrets_too_and_switches_are_none() -> None:
    given = {"password": 20240611, "token": True, "passphrase": None, "retries": 3}
    assert mask(given) == {"password": MASK, "token": True, "passphrase": None, "retries": 3}


def test_an_option_that_is_followed_by_another_one_has_no_value() -> None:
    assert mask({"args": ["--use-password", "--verbose", "loud"]}) == {"args": ["--use-password", "--verbose", "loud"]}


def test_findings_show_only_the_name_of_a_secret() -> None:
    assert secret_names("a", "db.user=x\ndb.password=hunter2x\nAKIAIOSFODNN7EXAMPLE") == ["db.password", "a key"]
    assert secret_names("DB_PASS", "hunter2x") == ["DB_PASS"]
    assert shown("s3.secret-key", "hunter2x") == repr(MASK)
    assert shown("a", "x" * 500).endswith("...")


def test_names_and_values() -> None:
    assert names_secret("AWS_SECRET_ACCESS_KEY")
    assert not names_secret("AWS_WEB_IDENTITY_TOKEN_FILE")
    assert is_secret("auth", "dXNlcjpwdw==")
    assert not is_secret("auth", "kerberos")
    assert not is_secret("PWD", "/opt/flink")


_CONFIG: dict[str, object] = {"streaming-platform:kind": "environment", "streaming-platform:environment": "dev"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "hunter2x"},
        {"s3.accessKey": "hunter2x"},
        {"kubeconfig": ["hunter2x"]},
        {"logging": {"destinations": {"es": {"elasticsearch": {"urls": ["http://u:hunter2x@es:9200"]}}}}},
        {"flink": {"clusters": {"claims": {"mainClass": "a", "arguments": "--password hunter2x"}}}},
        *(
            {"flink": {"clusters": {"claims": {"jar": "a.jar", "mainClass": "a", "configuration": {key: "hunter2x"}}}}}
            for key in ("s3.secret-key", "S3.Secret-Key")
        ),
        {"flink": {"clusters": {"claims": {"pod": {"env": [{"name": "DB_SECRET", "value": 20240611}]}}}}},
    ],
)
def test_a_refusal_of_settings_shows_no_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as error:
        parse(_CONFIG | {f"streaming-platform:{key}": value for key, value in wrong.items()})
    assert "hunter2x" not in str(error.value)
    assert "20240611" not in str(error.value)
    assert MASK in str(error.value)


def test_a_sentence_before_a_colon_is_no_name() -> None:
    text = "Flink option 'S3.Secret-Key' = '[secret]' is not the name of an option: write it like state.backend.type"
    assert masked(text) == text


def test_a_setting_of_another_program_shows_no_secret() -> None:
    with pytest.raises(SettingsError, match=r"kubernetes:kubeconfig: no such setting \(its value is '\[secret\]'\)"):
        parse(_CONFIG | {"kubernetes:kubeconfig": "hunter2x"})


def test_a_value_that_begins_with_an_empty_mapping_is_a_value() -> None:
    assert masked("it is appPassword={}0000x") == f"it is appPassword={MASK}"
    assert masked('{"password": {}, "a": 1}') == '{"password": {}, "a": 1}'
