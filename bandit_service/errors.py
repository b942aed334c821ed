"""Every error this package raises on purpose, in one tree.

    BanditError                     something a person can act on
    ├── SettingsError               a setting is unknown or has a wrong value
    ├── InvalidInput                input from outside is wrong (HTTP 400)
    │   ├── InvalidCatalog          a placement, variant or persona is wrong (HTTP 422)
    │   ├── InvalidPicture          an upload is no picture that is taken (HTTP 422)
    │   └── PayloadTooLarge         a body, or a part of one, is over its limit (HTTP 413)
    ├── NotAuthenticated            no key, or one that is unknown, expired or revoked (HTTP 401)
    ├── NotAllowed                  the key's role or origins do not reach this far (HTTP 403)
    ├── NotFound                    nothing by that name (HTTP 404)
    ├── MethodNotAllowed            the path exists, but not for that method (HTTP 405)
    ├── Conflict                    the thing changed since it was read (HTTP 409 / 412)
    ├── NothingToShow               a placement without a live variant (HTTP 409)
    ├── TooManyRequests             a key has used up its rate for now (HTTP 429)
    ├── StorageError                Redis refused, failed or cannot be reached (HTTP 503)
    │   ├── AppendInDoubt           an append was sent and not answered
    │   └── SpoolError              nor does this machine's disk take what Redis does not
    ├── NoAnswer                    the service gave its client no answer that can be used
    ├── SnapshotError               a snapshot is missing, damaged or of another version
    ├── LogError                    an entry of the log cannot be read
    ├── MediaError                  pictures cannot be kept or read (HTTP 503)
    ├── ArchiveError                the archive is missing, damaged, another's or cannot be written
    ├── DatasetError                a public data set cannot be fetched or read
    └── EvaluationError             a log cannot be believed, or cannot answer what was asked

Each error carries what its handler needs: a stable machine-readable ``code``, a ``message`` in
one sentence, the offending ``field`` where there is one, and a ``hint`` that names the remedy.
Errors of other libraries are translated once, at the adapter that calls them, with ``from``.
"""

from __future__ import annotations

from typing import ClassVar


class BanditError(Exception):
    """Root of the tree; raised as one of its subclasses."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    """The HTTP status that the web layer answers with."""
    exit_code: ClassVar[int] = 1
    """The exit code of the command line."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        field: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.specific_code = code or self.code

    def as_dict(self) -> dict[str, str]:
        """The error shape of the wire: ``code``, ``message``, and ``field`` and ``hint`` if any."""
        shape = {"code": self.specific_code, "message": self.message}
        if self.field is not None:
            shape["field"] = self.field
        if self.hint is not None:
            shape["hint"] = self.hint
        return shape


class SettingsError(BanditError):
    """Raised when a setting is unknown, malformed or outside its range."""

    code = "invalid_setting"
    exit_code = 2


class InvalidInput(BanditError):
    """Raised when a request, option or file from outside cannot be understood."""

    code = "invalid_input"
    status = 400
    exit_code = 2


class InvalidCatalog(InvalidInput):
    """Raised when a placement, variant or persona breaks a rule of the catalog."""

    code = "invalid_catalog"
    status = 422


class InvalidPicture(InvalidInput):
    """Raised when what was uploaded is no picture, or one that is not taken."""

    code = "invalid_picture"
    status = 422


class PayloadTooLarge(InvalidInput):
    """Raised when a body, or a part of it, is larger than its documented limit."""

    code = "too_large"
    status = 413


class NotAuthenticated(BanditError):
    """Raised when a request carries no key, or one that is unknown, expired or revoked."""

    code = "not_authenticated"
    status = 401


class NotAllowed(BanditError):
    """Raised when the role or the origins of a key do not permit what was asked."""

    code = "not_allowed"
    status = 403


class NotFound(BanditError):
    """Raised when nothing exists by the given name."""

    code = "not_found"
    status = 404
    exit_code = 4


class MethodNotAllowed(BanditError):
    """Raised when a path does not take the method of a request."""

    code = "method_not_allowed"
    status = 405


class Conflict(BanditError):
    """Raised when something changed between being read and being written."""

    code = "conflict"
    status = 412
    exit_code = 5


class NothingToShow(BanditError):
    """Raised when no live candidate is left for a placement."""

    code = "nothing_to_show"
    status = 409


class TooManyRequests(BanditError):
    """Raised when a key has used up its rate; ``retry_after`` is when to come again, in seconds."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str, *, retry_after: int, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class StorageError(BanditError):
    """Raised when Redis cannot be reached, refuses a command, or cannot be started."""

    code = "storage_unavailable"
    status = 503
    exit_code = 3


class AppendInDoubt(StorageError):
    """Raised when an append was sent and its answer lost: the log may have the entries or not.

    ``after`` is a position (ms, sequence) that they can only come after; ``server`` and ``client``
    name the connection that carried them, as Redis does (``run_id``, ``CLIENT ID``).
    """

    code = "append_in_doubt"

    def __init__(self, message: str, *, after: tuple[int, int], server: str, client: int) -> None:
        super().__init__(message, hint="is Redis running, reachable and not full? see REDIS_URL")
        self.after = after
        self.server = server
        self.client = client


class SpoolError(StorageError):
    """Raised when Redis is away and the spool on this machine's disk takes nothing more."""

    code = "spool_unavailable"


class NoAnswer(BanditError):
    """Raised when the service gave its client no answer that can be used, in time or at all.

    ``specific_code`` is one of ``timeout``, ``unreachable`` (no connection), ``broken`` (a
    connection that ended early), ``unavailable`` (a 5xx), ``unusable_answer``, ``resting`` (it was
    not asked, since it failed so often just now) and ``closed`` (the client was). ``arrived`` says
    whether the request may have been carried out all the same; ``retry_after``, in seconds, when to
    come again, if that was said.
    """

    code = "no_answer"
    status = 504
    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        code: str,
        arrived: bool = False,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.arrived = arrived
        self.retry_after = retry_after


class SnapshotError(BanditError):
    """Raised when a snapshot is missing, fails its checksum, or has another version."""

    code = "snapshot_unusable"
    status = 503
    exit_code = 3


class LogError(BanditError):
    """Raised when an entry of the log is not one this version can read."""

    code = "log_unreadable"
    status = 500
    exit_code = 3


class MediaError(BanditError):
    """Raised when the store of pictures cannot be written or read."""

    code = "media_unavailable"
    status = 503
    exit_code = 3


class ArchiveError(BanditError):
    """Raised when the archive is missing, damaged, another's, or cannot be written."""

    code = "archive_unusable"
    status = 503
    exit_code = 3


class DatasetError(BanditError):
    """Raised when a public data set cannot be fetched, verified or read."""

    code = "dataset_unavailable"
    exit_code = 3


class EvaluationError(BanditError):
    """Raised when a log must not be believed, or cannot say what a policy would have earned."""

    code = "evaluation_refused"
    status = 422
    exit_code = 6
