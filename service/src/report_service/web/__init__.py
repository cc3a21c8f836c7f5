"""The HTTP door: requests become rows of REPORT_CONFIG, as an INSERT would make them."""
