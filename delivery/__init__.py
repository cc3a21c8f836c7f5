"""What brings the application to its accounts: the roles of GitHub Actions, and what a pull request is told."""
