"""Show the comparisons of build/diff as one comment on a pull request, which later ones change.

    python -m delivery.pull_request_comment NUMBER

It takes the repository, the token, the address of the API and of the run from the variables of GitHub Actions:
GITHUB_REPOSITORY, GITHUB_TOKEN, GITHUB_API_URL, GITHUB_SERVER_URL, GITHUB_RUN_ID.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from delivery.diff import FOLDER, read_comparisons
from delivery.diff_summary import expected_environments, page

MARK = "<!-- snowgate: what would change -->"
LONGEST = 65_536  # characters that GitHub takes for a comment


def body(run: str) -> str:
    """The comment's text; ``run`` is the address of the run whose summary has what does not fit."""
    head = f"{MARK}\n## What a deploy would change in AWS\n\n"
    foot = f"\nTemplates against what is deployed: a value that only a deploy knows is not seen. [The run]({run})\n"
    room = LONGEST - len(head) - len(foot)
    return head + page(read_comparisons(FOLDER), expected=expected_environments(), limit=room) + foot


def comment(client: httpx.Client, repository: str, number: int, text: str) -> str:
    """Write the comment, or change the one that is there; its address.

    Raises:
        httpx.HTTPError: GitHub refused, or did not answer.
    """
    comments = f"/repos/{repository}/issues/{number}/comments"
    for found in _comments(client, comments):
        # A person's comment may quote the mark.
        if found["body"].startswith(MARK) and found["user"]["type"] == "Bot":
            answer = client.patch(f"/repos/{repository}/issues/comments/{found['id']}", json={"body": text})
            break
    else:
        answer = client.post(comments, json={"body": text})
    return str(answer.raise_for_status().json()["html_url"])


def _comments(client: httpx.Client, address: str) -> Iterator[dict[str, Any]]:
    following: str | None = f"{address}?per_page=100"
    while following:
        answer = client.get(following).raise_for_status()
        yield from answer.json()
        following = answer.links.get("next", {}).get("url")


def main(arguments: Sequence[str] | None = None, variables: Mapping[str, str] = os.environ) -> int:
    """Write or change the comment; 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.pull_request_comment", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("number", type=int, help="the pull request's number")
    options = parser.parse_args(arguments)
    try:
        repository = variables["GITHUB_REPOSITORY"]
        run = f"{variables['GITHUB_SERVER_URL']}/{repository}/actions/runs/{variables['GITHUB_RUN_ID']}"
        headers = {
            "Authorization": f"Bearer {variables['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
        }
        with httpx.Client(base_url=variables["GITHUB_API_URL"], headers=headers, timeout=30) as client:
            print(comment(client, repository, options.number, body(run)))
    except KeyError as missing:
        print(f"Variable {missing} is not set; GitHub Actions has it, GITHUB_TOKEN by the step's env.", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(f"The comment on pull request {options.number} was not written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
