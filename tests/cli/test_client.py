"""`mixsize client` against a server of a few lines."""

import base64
import http.server
import json
import threading

import pytest

from keras_mixsize.cli import client, command


class Handler(http.server.BaseHTTPRequestHandler):
    """Says what it was asked, and refuses the size 9."""

    def do_POST(self):  # noqa: N802, the name that http.server calls
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = base64.b64decode(asked["instances"][0]["b64"]).decode()
        size = asked["signature_name"].removeprefix("serve_bytes").strip("_")
        row = {"top_names": [data, asked["signature_name"]], "top_probabilities": [0.75, 0.25], "sizes": size or "12"}
        self.send_response(400 if size == "9" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"error": "no size 9"} if size == "9" else {"predictions": [row]}).encode())

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def url():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def image(tmp_path):
    (tmp_path / "boot.jpg").write_bytes(b"boot")
    return str(tmp_path / "boot.jpg")


def mixsize_client(*arguments):
    return command.run(client, ["mixsize client", *arguments])


def test_a_line_for_each_size_names_classes_and_the_size_that_answered(url, image, capsys):
    assert mixsize_client(image, f"--url={url}/", "--sizes=24,cascade") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("24 (24 px, ") and first.endswith(": boot 75.0 %, serve_bytes_24 25.0 %")
    assert second.startswith("cascade (") and "serve_cascade_bytes" in second


def test_without_a_size_the_server_chooses(url, image, capsys):
    assert mixsize_client(f"--image={image}", f"--url={url}") == 0
    assert capsys.readouterr().out.startswith("any size (12 px")


def test_what_the_server_refuses_is_said(url, image, capsys):
    assert mixsize_client(image, f"--url={url}", "--sizes=9") == 2
    assert '9: refused with 400: {"error": "no size 9"}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "name one image"), (["a", "b"], "name one image"), (["nowhere.jpg"], "nowhere.jpg")],
)
def test_mistakes_are_answered_in_a_line(arguments, message, capsys):
    assert mixsize_client(*arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_no_server_is_said(image, capsys):
    assert mixsize_client(image, "--url=http://127.0.0.1:9") == 2
    assert "no server answers at http://127.0.0.1:9" in capsys.readouterr().err
