"""The HTTP server [extra ``server``]: the API under /v1, its reference at /docs, and the map page at /.

Decoding happens in a few threads, encoding in one, which takes what waits in small batches. Photos live in memory
for as long as their request does: nothing of them is written, logged, or fetched from elsewhere.
"""

import importlib.util

from earthclip.errors import MissingExtraError

# Looked for, not imported: the model is opened while FastAPI is, see run.py.
_NEEDS = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
for _module, _package in (_NEEDS | {"prometheus_client": "prometheus-client"}).items():
    if importlib.util.find_spec(_module) is None:
        raise MissingExtraError("the server", "server", _package)
