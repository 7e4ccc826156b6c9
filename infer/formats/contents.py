"""What files hold, whatever they are called and wherever they lie."""

from collections.abc import Sequence
from pathlib import Path

from infer.errors import UsageError
from infer.files import digest_of, sha256


def content_digest(files: Sequence[Path], root: Path) -> str:
    """Hex SHA-256 over the names, below ``root``, and contents of ``files``, wherever they lie.

    Raises UsageError where one of them is missing.
    """
    absent = next((file for file in files if not file.is_file()), None)
    if absent:
        raise UsageError(f"{absent} is missing: {root} is not whole")
    listed = [[str(file.relative_to(root)) if file != root else "", sha256(file)] for file in files]
    return digest_of(listed)
