"""Sends a JPEG or PNG file to a server of an export and prints the five likeliest classes at each size.

    python experiments/client.py --url=http://localhost:8080 --image=boot.jpg --sizes=16,24,32,cascade

Speaks TensorFlow Serving's REST form (V1), so it works with serve.py, KServe and TensorFlow Serving alike. It needs Python alone.
"""

import argparse
import base64
import json
import pathlib
import time
import urllib.error
import urllib.request


def ask(url: str, image: bytes, size: str) -> dict:
    """Return the answer of the server for one encoded image.

    Raises:
        urllib.error.HTTPError: the server refused it; its body says why.
    """
    signature = "serve_cascade_bytes" if size == "cascade" else f"serve_bytes_{size}"
    body = {"signature_name": signature, "instances": [{"b64": base64.b64encode(image).decode()}]}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8080", help="of the server")
    parser.add_argument("--model", default="mixsize", help="its name on the server")
    parser.add_argument("--image", required=True, help="JPEG or PNG file")
    parser.add_argument("--sizes", required=True, help="sizes in pixels, and cascade, with commas between")
    arguments = parser.parse_args()
    image = pathlib.Path(arguments.image).read_bytes()
    for size in arguments.sizes.split(","):
        start = time.perf_counter()
        try:
            answer = ask(f"{arguments.url}/v1/models/{arguments.model}:predict", image, size)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{size}: refused with {error.code}: {error.read().decode()}") from error
        except urllib.error.URLError as error:
            raise SystemExit(f"no server answers at {arguments.url} ({error.reason}); make serve starts one") from error
        milliseconds = 1000 * (time.perf_counter() - start)
        best = zip(answer["top_names"], answer["top_probabilities"])
        classes = ", ".join(f"{name} {100 * share:.1f} %" for name, share in best)
        print(f"{size} ({answer['sizes']} px, {milliseconds:.0f} ms): {classes}")


if __name__ == "__main__":
    main()
