"""The code of the library's Lambda functions; each folder is what its function ships."""
