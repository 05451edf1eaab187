"""The Decthings API: its wire format, tensors, types, errors and a client over httpx."""

from .blobs import Blob, BlobSource
from .client import DEFAULT_URL, DecthingsClient, Delivery, Timeouts
from .client_pool import Connections
from .errors import (
    ApiError,
    BlobChanged,
    ConnectionFailed,
    DecthingsError,
    InvalidRequest,
    InvalidResponse,
    NoResponse,
    RequestCutShort,
    TensorError,
    TooManyCalls,
)
from .tensors import TENSOR_TYPES, Media, Tensor, TensorType

__all__ = [
    "DEFAULT_URL",
    "TENSOR_TYPES",
    "ApiError",
    "Blob",
    "BlobChanged",
    "BlobSource",
    "ConnectionFailed",
    "Connections",
    "DecthingsClient",
    "DecthingsError",
    "Delivery",
    "InvalidRequest",
    "InvalidResponse",
    "Media",
    "NoResponse",
    "RequestCutShort",
    "Tensor",
    "TensorError",
    "TensorType",
    "Timeouts",
    "TooManyCalls",
]
