"""The web page on which a person tries an export: page.html, its sample images and the export's manifest.

page.html is one file without a build step, which asks its own server only. Neighbour: `server`.

    add_page(application, versions, pathlib.Path("exported/samples"))
"""

import pathlib

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from keras_mixsize.serving.versions import Versions

PAGE = pathlib.Path(__file__).with_name("page.html")


def add_page(application: FastAPI, versions: Versions, samples: pathlib.Path) -> None:
    """Give an application the page for browsers at `/`, and below `/page` what it shows.

    Args:
        application: who asks for `/` without wanting HTML gets KServe's own answer there, that it is alive.
        versions: the export, whose manifest the page asks for.
        samples: folder of images to click on; it need not exist.
    """
    files = sorted(file.name for file in samples.iterdir()) if samples.is_dir() else []
    if files:
        application.mount("/page/samples", StaticFiles(directory=samples))

    @application.get("/page/facts")
    async def facts():
        return {"manifest": versions.current.served.manifest, "samples": files}

    @application.get("/")
    async def front(request: Request):
        is_browser = "text/html" in request.headers.get("accept", "")
        return FileResponse(PAGE) if is_browser else {"status": "alive"}
