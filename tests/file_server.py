"""A local file server that misbehaves on request."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Server:
    """What a file server does: `files` by their name, `content` for any other; `breaks_after` bytes of an answer it hangs up."""

    content: bytes
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    content_type: str = "application/octet-stream"
    knows_ranges: bool = True
    says_length: bool = True
    breaks_after: int | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)  # more of them, or others; "" for none
    etag: str = ""
    is_endless: bool = False
    ranges: list[str] = field(default_factory=list)


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server that runs meanwhile; its `url` names a file `model.pth`."""
    behaviour = Server(content)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            whole = behaviour.files.get(self.path.rpartition("/")[2], behaviour.content)
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            behaviour.ranges.append(self.headers["Range"])
            if not behaviour.knows_ranges or self.headers.get("If-Range", behaviour.etag) != behaviour.etag:
                start = 0
            if start >= len(whole) > 0:
                self.send_response(416)
                if behaviour.says_length:
                    self.send_header("Content-Range", f"bytes */{len(whole)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = whole[start:]
            self.send_response(206 if behaviour.knows_ranges and behaviour.status == 200 else behaviour.status)
            headers = {"Content-Type": behaviour.content_type, "ETag": behaviour.etag}
            if behaviour.says_length:
                headers["Content-Length"] = str(len(body))
            if behaviour.knows_ranges:
                headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
            for name, value in (headers | behaviour.headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: behaviour.breaks_after])
            while behaviour.is_endless:
                self.wfile.write(bytes(1 << 20))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.handle_error = lambda *_: None  # a client that hangs up
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        behaviour.url = f"http://127.0.0.1:{http_server.server_port}/model.pth"
        try:
            yield behaviour
        finally:
            http_server.shutdown()
            thread.join()
