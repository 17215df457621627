"""A model hub on 127.0.0.1: the requests of `snapshot_download` and of `upload_folder`, and faults on demand."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class LoopbackHub:
    """Repositories (id → revision → folder), how the hub misbehaves, and what it was asked.

    Attributes:
        tokens: repositories that want this token.
        gated: repositories that nobody is let into.
        break_after: file name → bytes of its body to send before the connection is cut.
        breaks: how many times a connection is cut; more than huggingface_hub's patience is for ever.
        status: answer everything with this status.
        storage: folder for repositories that are made; none are without.
    """

    repositories: dict[str, dict[str, Path]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    break_after: dict[str, int] = field(default_factory=dict)
    breaks: int = 1
    status: int | None = None
    storage: Path | None = None
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def fetched(self, name: str) -> list[Request]:
        """The GET requests for a file's content."""
        return [r for r in self.requests if r.method == "GET" and "/resolve/" in r.path and r.path.endswith("/" + name)]

    def commit(self, repository: str, revision: str) -> str | None:
        """The commit hash of a revision; a commit hash is a revision of its own."""
        for name in self.repositories[repository]:
            commit = hashlib.sha1(f"{repository}@{name}".encode()).hexdigest()
            if revision in (name, commit):
                return commit
        return None

    def folder(self, repository: str, commit: str) -> Path:
        """The files of a commit."""
        revisions = self.repositories[repository]
        return next(folder for name, folder in revisions.items() if self.commit(repository, name) == commit)


@contextmanager
def serve(hub: LoopbackHub) -> Iterator[LoopbackHub]:
    """Run the hub on a free port until the block ends."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+)(/(?P<below>.+))?)?")
_UPLOAD = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)/(?P<what>preupload|commit|branch)/(?P<revision>[^/]+)")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.hub.requests.append(Request("POST", path, None, token))
        if self.hub.storage is None or self.hub.status is not None:
            return self._send(self.hub.status or 403, b"{}", {})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        match = _UPLOAD.fullmatch(path)
        if match is None:
            return self._send_json({"errors": [], "warnings": []})  # of /api/validate-yaml
        if match["what"] == "preupload":
            files = json.loads(body)["files"]
            return self._send_json(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        if match["what"] == "branch":
            self.hub.repositories[match["id"]].setdefault(
                match["revision"], self._folder(match["id"], match["revision"])
            )
            return self._send_json({})
        return self._commit(match["id"], match["revision"], body)

    def _folder(self, repository, revision):
        folder = self.hub.storage / repository / revision
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _create(self, asked):
        repository = f"{asked['organization'] or 'somebody'}/{asked['name']}"
        if repository in self.hub.repositories:
            return self._send(409, json.dumps({"url": f"{self.hub.url}/{repository}"}).encode(), {})
        self.hub.repositories[repository] = {"main": self._folder(repository, "main")}
        self._send_json({"url": f"{self.hub.url}/{repository}", "name": repository, "id": repository})

    def _commit(self, repository, revision, body):
        folder = self._folder(repository, revision)
        for line in body.decode().splitlines():
            operation = json.loads(line)
            if operation["key"] == "file":
                path = folder / operation["value"]["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(base64.b64decode(operation["value"]["content"]))
        self.hub.repositories[repository][revision] = folder
        commit = self.hub.commit(repository, revision)
        url = f"{self.hub.url}/{repository}/commit/{commit}"
        self._send_json({"success": True, "commitOid": commit, "commitUrl": url})

    def _answer(self):
        path = urlsplit(self.path).path
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.hub.requests.append(Request(self.command, unquote(path), self.headers.get("Range"), token))
        match = _API.fullmatch(path) or _FILE.fullmatch(path)
        refusal = self._refusal(match, token)
        if refusal is not None:
            status, code = refusal
            return self._send(status, json.dumps({"error": code}).encode(), {"X-Error-Code": code})
        repository, revision = match["id"], unquote(match["revision"] or "main")
        commit = self.hub.commit(repository, revision)
        folder = self.hub.folder(repository, commit)
        files = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
        parts = match.groupdict()
        if "file" in parts:
            if parts["file"] not in files:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return self._send_file(files[parts["file"]], commit)
        if parts["below"] is not None:  # no repository here has folders that are asked for
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        if parts["what"] == "tree":
            listing = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": _etag(path)}
                for name, path in files.items()
            ]
            return self._send_json(listing)
        return self._send_json(
            {
                "id": repository,
                "modelId": repository,
                "sha": commit,
                "siblings": [{"rfilename": name} for name in files],
            }
        )

    def _refusal(self, match, token):
        """The status and error code that the real hub answers with, or None."""
        if self.hub.status is not None:
            return self.hub.status, ""
        if match is None or match["id"] not in self.hub.repositories:
            return 404, "RepoNotFound"
        if match["id"] in self.hub.gated:
            return 403, "GatedRepo"
        if self.hub.tokens.get(match["id"], token) != token:
            return 401, ""
        if self.hub.commit(match["id"], unquote(match["revision"] or "main")) is None:
            return 404, "RevisionNotFound"
        return None

    def _send_json(self, content):
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send_file(self, path, commit):
        body = path.read_bytes()
        headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        status, start = 200, 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            status, start = 206, int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self._send(status, body[start:], headers, cut=self.hub.break_after.get(path.name))

    def _send(self, status, body, headers, cut=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut is not None and self.hub.breaks > 0:
            self.hub.breaks -= 1
            body = body[:cut]
            self.close_connection = True
        self.wfile.write(body)


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
