"""The Decthings API: its wire format, tensors, types, errors and a client over httpx."""

from ..decthings_defaults import DEFAULT_URL, Timeouts
from .blobs import Blob, BlobSource, HashedBlob
from .client import DecthingsClient
from .client_pool import ClientPool
from .errors import (
    ApiError,
    BlobChanged,
    ConnectionFailed,
    DecthingsError,
    InvalidRequest,
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
    TensorError,
    TooManyCalls,
    UploadInterrupted,
)
from .sending import SendProgress
from .tensors import TENSOR_TYPES, Media, Tensor, TensorType

__all__ = [
    "DEFAULT_URL",
    "TENSOR_TYPES",
    "ApiError",
    "Blob",
    "BlobChanged",
    "BlobSource",
    "ClientPool",
    "ConnectionFailed",
    "DecthingsClient",
    "DecthingsError",
    "HashedBlob",
    "InvalidRequest",
    "InvalidResponse",
    "Media",
    "NoResponse",
    "RequestInterrupted",
    "SendProgress",
    "Tensor",
    "TensorError",
    "TensorType",
    "Timeouts",
    "TooManyCalls",
    "UploadInterrupted",
]
