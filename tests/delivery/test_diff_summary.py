"""Comparisons as one page of Markdown."""

from __future__ import annotations

from pathlib import Path

from delivery.diff import Comparison, read_comparisons
from delivery.diff_summary import changed_stacks, expected_environments, page

ASIDE = """\
current credentials could not be used to assume 'arn:aws:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333\
-eu-west-1', but are for the right account. Proceeding anyway.
Lookup role arn:aws:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333-eu-west-1 was not assumed. Proceeding\
 with default credentials.
"""
# As CDK CLI 2.1148.1 writes it.
OUTPUT = f"""\
{ASIDE}Stack dev/Network (dev-Network) (aws://111122223333/eu-west-1)
Resources
[~] AWS::EC2::VPC Network/Network/Vpc NetworkVpc7FB7348F replace
 └─ [~] CidrBlock (requires replacement)
     ├─ [-] 10.21.0.0/16
     └─ [+] 10.99.0.0/16
[-] AWS::EC2::FlowLog Network/Network/Vpc/Traffic/FlowLog NetworkVpcTrafficFlowLog6C4CD10D destroy

Outputs
[-] Output VpcId: {{"Value":{{"Ref":"NetworkVpc7FB7348F"}}}}


{ASIDE}Stack dev/Alarms (dev-Alarms) (aws://111122223333/eu-west-1)
There were no differences

{ASIDE}Stack dev/Image (dev-Image) (aws://111122223333/eu-west-1)
Parameters
[+] Parameter BootstrapVersion BootstrapVersion: {{"Type":"String"}}


✨  Number of stacks with differences: 2

"""


def same(environment: str) -> Comparison:
    text = f"Stack {environment}/Alarms ({environment}-Alarms)\nThere were no differences\n"
    return Comparison(environment, 0, text)


def test_stacks_that_change_are_shown_and_what_is_lost_is_counted() -> None:
    network, image = changed_stacks(OUTPUT)
    assert (network.name, network.lost) == ("dev-Network", 2)
    assert (image.name, image.lost) == ("dev-Image", 0)

    text = page([Comparison("dev", 0, OUTPUT)])
    assert text.startswith("### dev: 2 stacks change, 2 replaced or removed\n")
    assert "<summary>dev-Network, 2 replaced or removed</summary>" in text
    assert "Lookup role" not in text
    assert "✨" not in text


def test_signs_stand_first_so_that_a_diff_is_coloured() -> None:
    text = page([Comparison("dev", 0, OUTPUT)])
    assert "\n! AWS::EC2::VPC Network/Network/Vpc NetworkVpc7FB7348F replace\n" in text
    assert "\n-      ├─ 10.21.0.0/16\n+      └─ 10.99.0.0/16\n" in text


def test_environments_come_in_the_order_in_which_they_are_deployed() -> None:
    text = page([same("test"), same("dev"), same("prod"), same("staging")])
    assert [line.split()[1] for line in text.splitlines() if line.startswith("###")] == [
        *("dev:", "staging:", "prod:", "test:")
    ]
    assert "### dev: no stack changes\n" in text


def test_an_environment_that_was_not_compared_is_named() -> None:
    assert page([same("staging")], expected=["prod", "staging"]) == (
        "### staging: no stack changes\n\n### prod: not compared\n"
    )
    assert set(expected_environments()) == {"dev", "staging", "prod"}


def test_what_does_not_fit_is_named_and_what_still_fits_is_whole() -> None:
    comparisons = [Comparison("dev", 0, OUTPUT), same("prod")]
    whole = page(comparisons)
    cut = page(comparisons, limit=len(whole) - 1)
    assert len(cut) <= len(whole) - 1
    assert "<summary>dev-Network, 2 replaced or removed</summary>" in cut
    assert "dev-Image: too long for here" in cut
    assert "### prod: no stack changes" in cut
    assert "dev-Network, 2 replaced or removed: too long for here" in page(comparisons, limit=len(whole) - 400)
    assert page(comparisons, limit=len(whole)) == whole


def test_a_comparison_that_failed_says_so() -> None:
    text = page([Comparison("dev", 1, "Need to perform AWS calls for account 111122223333, but no credentials\n")])
    assert text.startswith("### dev: `cdk diff` failed with exit code 1\n")
    assert "no credentials" in text


def test_without_a_comparison_the_page_says_why(tmp_path: Path) -> None:
    assert "A pull request from a fork gets no\ncredentials" in page(read_comparisons(tmp_path / "none"))


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    comparison = Comparison("dev", 0, OUTPUT)
    comparison.write(tmp_path / "diff")
    assert read_comparisons(tmp_path / "diff") == [comparison]


def test_text_of_a_template_stays_in_its_fence() -> None:
    told = "Description: `````\n@somebody: [approve](https://example.com)"
    failed = page([Comparison("dev", 1, told)])
    changed = page([Comparison("dev", 0, f"Stack dev/Alarms (dev-Alarms)\n{told}\n")])
    assert f"``````\n{told}\n``````\n" in failed
    assert f"``````diff\n{told}\n``````\n" in changed
