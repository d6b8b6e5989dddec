"""A hub on this machine: what ``huggingface_hub`` asks of a dataset's repository, and no more."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

NAME = "org/set"


@dataclass
class Repository:
    """The commits of one dataset: commit -> path -> content."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path
    lost: str = ""  # a file that cannot be reached

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit; gives its 40 digits."""
        content = b"".join(name.encode() + files[name] for name in sorted(files))
        digits = hashlib.sha1(content).hexdigest()
        self.commits[digits] = files
        return digits


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repository: Repository

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.repository.asked.append((self.command, path))
        if self.repository.lost and path.endswith(self.repository.lost):
            self._send(403, b"", {})  # which the libraries do not try again for half a minute
            return
        api = re.fullmatch(rf"/api/datasets/{NAME}/(revision|tree|paths-info)/([^/]+)(.*)", path)
        file = re.fullmatch(rf"/datasets/{NAME}/resolve/([^/]+)/(.*)", path)
        commit = (api and api[2]) or (file and file[1]) or ""
        files = self.repository.commits.get(commit)
        if files is None:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif api:
            answer = json.dumps(_described(api[1], commit, files, api[3].strip("/"), body))
            self._send(200, answer.encode(), {"Content-Type": "application/json"})
        elif file and file[2] in files:
            self._send_file(commit, files[file[2]])
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})

    def _send_file(self, commit: str, content: bytes) -> None:
        facts = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit}
        facts["Accept-Ranges"] = "bytes"
        status, part = 200, content
        if match := re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(match[1]), int(match[2] or len(content) - 1)
            part, status = content[first : last + 1], 206
            facts["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(status, part, facts)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _described(kind: str, commit: str, files: dict[str, bytes], below: str, body: bytes) -> object:
    if kind == "revision":
        siblings = [{"rfilename": name} for name in sorted(files)]
        return {
            "id": NAME,
            "_id": "1",
            "sha": commit,
            "siblings": siblings,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
    if kind == "tree":
        inside = f"{below}/" if below else ""
        children = {
            inside + n[len(inside) :].partition("/")[0] for n in files if n.startswith(inside)
        }
        return [_entry(name, files) for name in sorted(children)]
    paths = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
    return [_entry(path, files) for path in paths if _is_there(path, files)]


def _is_there(path: str, files: dict[str, bytes]) -> bool:
    return path in files or any(name.startswith(f"{path}/") for name in files)


def _entry(path: str, files: dict[str, bytes]) -> dict[str, object]:
    if path not in files:
        return {"type": "directory", "path": path, "oid": "0" * 40}
    digits = hashlib.sha1(files[path]).hexdigest()
    return {"type": "file", "path": path, "size": len(files[path]), "oid": digits}


@contextmanager
def served(repository: Repository) -> Iterator[str]:
    """Serve a repository; gives the address."""
    handler = type("Handler", (_Handler,), {"repository": repository})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
