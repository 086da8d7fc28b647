"""The domain: what happens to an upload and to the file that it becomes, for every transport.

Nothing here imports Starlette: a transport reads a request, calls this package and writes the
answer.
"""

from lading.server.uploads.limits import UploadLimits
from lading.server.uploads.open_uploads import OpenUpload, Written, nothing_stored
from lading.server.uploads.uploads import Uploads

__all__ = ["OpenUpload", "UploadLimits", "Uploads", "Written", "nothing_stored"]
