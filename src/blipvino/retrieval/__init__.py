"""Photos found by what they show: an index of their vectors on disk, kept up to date, and searching in it."""

from blipvino.retrieval.embedder import Embedder
from blipvino.retrieval.index_update import forget_folder, update_index
from blipvino.retrieval.photo_index import PhotoIndex
from blipvino.retrieval.photo_search import Found, Hit, SearchOptions, search_photos
from blipvino.retrieval.update_work import IndexSummary, UpdateOptions

__all__ = [
    "Embedder",
    "Found",
    "Hit",
    "IndexSummary",
    "PhotoIndex",
    "SearchOptions",
    "UpdateOptions",
    "forget_folder",
    "search_photos",
    "update_index",
]
