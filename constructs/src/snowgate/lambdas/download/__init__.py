"""The function behind the download links: its zip holds handler.py, and boto3 comes with the runtime."""
