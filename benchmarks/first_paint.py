"""Size and first paint of pages, as Chromium's own paint timing tells them: a fresh browser each.

python benchmarks/first_paint.py outputs/studies/quickstart/report.html [...]
"""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROUNDS = 5
_SECONDS = 60
# Asks when something was first drawn, and tells it by the address of a picture.
_PROBE = """<script>new PerformanceObserver((list) => {
  const first = list.getEntriesByName("first-contentful-paint")[0];
  if (!first) return;
  const tell = () => setTimeout(() => {
    const [page] = performance.getEntriesByType("navigation");
    const times = "paint=" + first.startTime + "&load=" + page.loadEventEnd;
    new Image().src = "http://127.0.0.1:PORT/?" + times;
  }, 0);
  // On a busy machine the paint may be told only after the page has loaded.
  if (document.readyState === "complete") tell(); else addEventListener("load", tell);
}).observe({type: "paint", buffered: true});</script>"""


def first_paint(page: Path, browser: str) -> tuple[float, float]:
    """Milliseconds from the start of the navigation to the first content, and to its end.

    Raises
    ------
    RuntimeError
        If the page does not answer in time.
    """
    told: dict[str, float] = {}
    answered = threading.Event()

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.update({k: float(v[0]) for k, v in parse_qs(urlsplit(self.path).query).items()})
            answered.set()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        probe = _PROBE.replace("PORT", str(server.server_port))
        copy = Path(folder) / "page.html"
        copy.write_text(page.read_text().replace("<head>", f"<head>{probe}", 1))
        command = [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}/browser",
            "--window-size=1400,900",
            "--remote-debugging-port=0",
            f"file://{copy}",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not answered.wait(_SECONDS):
                raise RuntimeError(f"{page} did not answer within {_SECONDS} s")
        finally:
            process.kill()
            process.wait()
            server.shutdown()
    return told["paint"], told["load"]


def main(pages: list[str]) -> None:
    """Print a line a page: its size, and median, least and most of its first paint."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium on the PATH")
    for name in pages:
        page = Path(name)
        seen = sorted(first_paint(page, browser) for _ in range(ROUNDS))
        loads = sorted(load for _, load in seen)
        print(
            f"{page}: {page.stat().st_size / 1e6:.2f} MB, first paint {seen[ROUNDS // 2][0]:.0f} ms"
            f" ({seen[0][0]:.0f} to {seen[-1][0]:.0f}), loaded {loads[ROUNDS // 2]:.0f} ms"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
