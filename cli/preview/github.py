"""The comment of a stack on a pull request: made once, then updated in place."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from cli.preview.comment import marker
from console.progress import LocalError

SECONDS = 30  # for one request
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The pull request that comments are posted to. `api` and `token` are what GitHub gives to a workflow."""

    repository: str
    number: int
    token: str
    api: str = "https://api.github.com"

    def _ask(self, method: str, url: str, body: dict[str, str] | None = None) -> tuple[Any, str]:
        """One request; return the answer and the address of its next page, if there is one."""
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                following = _NEXT.search(answer.headers.get("Link", ""))
                return json.load(answer), following[1] if following else ""
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")[:300]
            remedy = "the job needs `permissions: pull-requests: write`" if error.code == 403 else "try the job again"
            raise LocalError(f"{method} {url}: {error.code} {told}: {remedy}") from None
        except urllib.error.URLError as error:
            raise LocalError(f"{method} {url}: {error.reason}: try the job again") from None

    def _comments(self) -> Iterator[dict[str, Any]]:
        url = f"{self.api}/repos/{self.repository}/issues/{self.number}/comments?per_page=100"
        while url:
            page, url = self._ask("GET", url)
            yield from cast("list[dict[str, Any]]", page)

    def put(self, stack: str, text: str) -> str:
        """Make the stack's comment, or update it where it stands; return its address.

        Only a comment of a bot is taken for ours: anyone can write the marker.
        """
        issues = f"{self.api}/repos/{self.repository}/issues"
        for comment in self._comments():
            if comment["user"]["type"] == "Bot" and str(comment["body"]).startswith(marker(stack)):
                put, _ = self._ask("PATCH", f"{issues}/comments/{comment['id']}", {"body": text})
                return put["html_url"]
        put, _ = self._ask("POST", f"{issues}/{self.number}/comments", {"body": text})
        return put["html_url"]


def from_environment() -> PullRequest:
    """The pull request of this workflow run. Raises LocalError that names what is missing."""
    missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "PULL_REQUEST") if not os.environ.get(name)]
    if missing:
        raise LocalError(f"{', '.join(missing)}: not set; .github/workflows/preview.yml shows what sets them")
    return PullRequest(
        repository=os.environ["GITHUB_REPOSITORY"],
        number=int(os.environ["PULL_REQUEST"]),
        token=os.environ["GITHUB_TOKEN"],
        api=os.environ.get("GITHUB_API_URL", PullRequest.api),
    )
