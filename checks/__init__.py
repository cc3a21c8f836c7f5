"""The checkers of the synthesised templates: what cdk-nag was told to accept, cfn-lint and checkov."""
