"""The JSON of requests and answers. Each model is both the JSON and its schema.

Requests are pydantic models, which validate. Answers are typed dicts, which cost nothing to make
and which pydantic writes as JSON. `/openapi.json` is made of both.
"""

from lading.server.http.schemas.files import (
    ChangeFile,
    Chunk,
    DeletedDirectory,
    FileList,
    Manifest,
    ManifestWithChunks,
    chunk_of,
    manifest_of,
)
from lading.server.http.schemas.grants import (
    Grant,
    GrantList,
    MintedGrant,
    NewDownloadGrant,
    NewGrant,
    NewUploadGrant,
    grant_of,
)
from lading.server.http.schemas.media import (
    MediaDownload,
    MediaUpload,
    Medium,
    NewMedia,
    NewMedium,
)
from lading.server.http.schemas.service import Health, Problem, SetQuota, Status, Usage
from lading.server.http.schemas.tags import NameTag, Tag, TagList
from lading.server.http.schemas.types import moment
from lading.server.http.schemas.uploads import (
    FinishUpload,
    NewUpload,
    StoredPiece,
    Upload,
    UploadList,
    upload_of,
)

__all__ = [
    "ChangeFile",
    "Chunk",
    "DeletedDirectory",
    "FileList",
    "FinishUpload",
    "Grant",
    "GrantList",
    "Health",
    "Manifest",
    "ManifestWithChunks",
    "MediaDownload",
    "MediaUpload",
    "Medium",
    "MintedGrant",
    "NameTag",
    "NewDownloadGrant",
    "NewGrant",
    "NewMedia",
    "NewMedium",
    "NewUpload",
    "NewUploadGrant",
    "Problem",
    "SetQuota",
    "Status",
    "StoredPiece",
    "Tag",
    "TagList",
    "Upload",
    "UploadList",
    "Usage",
    "chunk_of",
    "grant_of",
    "manifest_of",
    "moment",
    "upload_of",
]
