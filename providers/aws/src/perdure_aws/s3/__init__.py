"""Objects in S3, and the histories of a hub in them."""

from perdure_aws.s3._administration import S3Administration
from perdure_aws.s3._objects import S3Objects
from perdure_aws.s3._store import S3Store

__all__ = ["S3Administration", "S3Objects", "S3Store"]
