"""The weather warehouse: the ingestion of station files into PostgreSQL, and the HTTP API over them."""
