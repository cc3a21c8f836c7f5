"""The role that looks whether the configuration is right, without any connection."""

from __future__ import annotations

from report_service.catalogue import CatalogueError, load_catalogue
from report_service.settings import Settings


def validate_config(settings: Settings) -> bool:
    """Load the catalogue, print what there is or what is wrong, and tell whether it is right."""
    print(f"settings: right, environment {settings.environment}", flush=True)
    try:
        catalogue = load_catalogue(settings.reports_directory)
    except CatalogueError as error:
        print(f"catalogue: WRONG\n{error}", flush=True)
        return False
    print(f"catalogue: right, reports {', '.join(catalogue)}", flush=True)
    return True
