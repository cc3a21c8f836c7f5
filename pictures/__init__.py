"""The pictures of docs/pictures, drawn from the synthesised templates: `make pictures`."""
