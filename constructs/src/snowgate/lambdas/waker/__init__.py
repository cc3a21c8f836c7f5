"""The Lambda function that raises the worker's desired count."""
