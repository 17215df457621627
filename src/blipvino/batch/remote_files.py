"""Files by URL, in any file system that fsspec knows. Whatever goes wrong is told in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from blipvino.errors import BlipvinoError

INSTALL_BATCH = "pip install 'blipvino[batch]'"
INSTALL_S3 = "pip install 'blipvino[s3]'"
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.:-]+://")
_S3 = ("s3", "s3a")
_LISTING = (*_S3, "gs", "gcs")
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "NoAuthHandlerFound")
_WRONG_CREDENTIALS = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("RequestTimeTooSkewed", "AccountProblem", "AllAccessDisabled", "NotSignedUp"),
)
"""Codes by which a store that speaks S3's protocol refuses whatever it is asked for."""
_BUSY = ("SlowDown", "ServiceUnavailable")
"""Likewise, of one that cannot do more, however often it was asked."""
_OF_MANY_HOSTS = ("http", "https", "ftp")
"""Where one URL that cannot be reached says nothing of the next."""
_UNREACHABLE = ("EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "ConnectionError")


class RemoteError(Exception):
    """A file or a folder that cannot be had. The message is ``URL: what is wrong``; callers make it one of theirs."""


class StoreError(RemoteError):
    """Nothing can be had from a store, whichever file is asked for: by whoever waits, or sets something right."""


def is_url(place: str) -> bool:
    """Whether a place is a URL, such as ``s3://bucket/photo.jpg``, and no local path."""
    return _URL.match(place) is not None


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, the same one for all URLs of a thread that need the same, and the path in it.

    Raises:
        RemoteError: no package here knows such URLs.
    """
    try:
        from fsspec.core import get_filesystem_class, url_to_fs  # noqa: PLC0415  # of an extra
    except ImportError as error:
        raise StoreError(f"{url}: URLs need the `batch` extra ({error}); {INSTALL_BATCH}") from error
    try:
        if "::" in url and not is_layered(url):  # which `url_to_fs` takes for layers
            system = get_filesystem_class(protocol(url))(**_options(url))
            return system, system._strip_protocol(url)
        found: tuple[Any, str] = url_to_fs(url, **_options(url))
    except ImportError as error:
        if protocol(url) in _S3:
            raise StoreError(f"{url}: buckets need the `s3` extra ({error}); {INSTALL_S3}") from error
        raise StoreError(f"{url}: a package is missing ({error})") from error
    except Exception as error:  # each file system has errors of its own
        raise remote_error(url, error) from error
    return found


def protocol(url: str) -> str:
    """What a URL begins with, such as ``s3``; of one in several layers, that of the outermost."""
    return url.partition("://")[0].partition("::")[0].lower()


def is_layered(url: str) -> bool:
    """Whether a URL is in several layers, such as ``zip://a.jpg::s3://bucket/a.zip``, and not of a file so named."""
    return "://" in url.partition("::")[2]


def read_url(url: str) -> bytes:
    """All bytes of a file.

    Raises:
        RemoteError: it cannot be read.
    """
    system, path = file_system(url)
    try:
        content: bytes = system.cat_file(path)
    except Exception as error:  # as above
        raise remote_error(url, error) from error
    return content


@contextmanager
def open_url(url: str) -> Iterator[IO[bytes]]:
    """Open a file to read from, here or there. What the block raises of the file system's errors is a `RemoteError`.

    Raises:
        RemoteError: it cannot be read.
    """
    system, path = file_system(url)
    try:
        with system.open(path, "rb") as file:
            yield file
    except (BlipvinoError, RemoteError):
        raise
    except Exception as error:  # as above
        raise remote_error(url, error) from error


def remote_error(url: str, error: Exception) -> RemoteError:
    """What went wrong with a URL, told by what to do about it.

    Args:
        url: as it was given.
        error: any that fsspec or the package behind it raises.
    """
    causes = list(_causes(error))
    if _any_named(causes, _NO_CREDENTIALS):
        return StoreError(f"{url}: there are no credentials for it{_credentials(url)}")
    codes = {_code(cause) for cause in causes}
    is_wrong = not codes.isdisjoint(_WRONG_CREDENTIALS)
    if is_wrong or any(isinstance(cause, PermissionError) for cause in causes):
        kind = StoreError if is_wrong else RemoteError
        return kind(f"{url}: access is denied ({_reason(error)}); check the credentials and what they allow")
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        if "bucket does not exist" in str(error):
            return RemoteError(f"{url}: there is no such bucket; check its name and the endpoint")
        return RemoteError(f"{url}: there is no such file or folder; check the name")
    if _any_named(causes, _UNREACHABLE) or not codes.isdisjoint(_BUSY):
        kind = RemoteError if protocol(url) in _OF_MANY_HOSTS else StoreError
        return kind(f"{url}: cannot be reached ({_reason(error)}); check the endpoint and the network")
    return RemoteError(f"{url}: cannot be read or written ({_reason(error)})")


def is_bucket(url: str) -> bool:
    """Whether a URL is of S3, or of what speaks its protocol."""
    return protocol(url) in _S3 and not is_layered(url)


def split_layers(url: str) -> tuple[str, str]:
    """A URL in two: the part that names a file, and what it lies in: ``zip://a.jpg`` and ``::s3://bucket/photos.zip``.

    The second is empty, but for files in archives.
    """
    if not is_layered(url):
        return url, ""
    first, separator, rest = url.partition("::")
    return (first, separator + rest) if "://" in first else (url, "")


def joined(url: str, name: str) -> str:
    """The URL of what has this name in a folder; ``../`` before the name leads out of it."""
    while name.startswith(("./", "../")):
        step, _, name = name.partition("/")
        url = url if step == "." else folder_of(url.rstrip("/"))
    folder, archive = split_layers(url)
    return f"{folder}{'' if folder.endswith('/') else '/'}{name}{archive}"


def folder_of(url: str) -> str:
    """The URL of the folder that a file is in."""
    file, archive = split_layers(url)
    begins = file.index("://") + 3
    return f"{file[: max(file.rindex('/'), begins)]}{archive}"


def _options(url: str) -> dict[str, Any]:
    """How a file system is made, beside what fsspec's configuration says of it: names of millions would be kept."""
    # In layers options are named by layer; and not every file system takes this one.
    return {"use_listings_cache": False} if protocol(url) in _LISTING and not is_layered(url) else {}


def _credentials(url: str) -> str:
    if protocol(url) not in _S3:
        return ""
    return "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or FSSPEC_S3_ANON=true if it is public"


def _any_named(causes: list[BaseException], names: tuple[str, ...]) -> bool:
    """Whether one is of a class with such a name: the packages that have these classes need not be here."""
    return any(kind.__name__ in names for cause in causes for kind in type(cause).__mro__)


def _code(error: BaseException) -> str | None:
    """What botocore says a store has answered."""
    response = getattr(error, "response", None)
    told = response.get("Error") if isinstance(response, dict) else None
    return told.get("Code") if isinstance(told, dict) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
