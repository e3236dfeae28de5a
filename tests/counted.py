"""A file in memory that knows how much of it was read."""

import io


class Counted(io.BytesIO):
    """Counts what is read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file."""
        data = super().read(size)
        self.count += len(data)
        return data
