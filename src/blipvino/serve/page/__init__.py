"""The page at ``/``: a picture is captioned, asked about and searched for in a browser."""

from blipvino.serve.page.page_routes import add_page

__all__ = ["add_page"]
