"""One row a measurement, and the table that they make."""

from collections.abc import Sequence

from msgspec import Struct


class Row(Struct, frozen=True):
    """What was done, how much of it, what came out, beside what in the same run, and the design's aim."""

    work: str
    size: str
    figure: str
    comparison: str = "–"
    aim: str = "–"


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table, its columns aligned for reading as they stand.

    >>> print(markdown([Row("fold", "1 key", "1 s")]))
    | work | size  | figure | beside it | aim |
    |------|-------|--------|-----------|-----|
    | fold | 1 key | 1 s    | –         | –   |
    """
    head = ("work", "size", "figure", "beside it", "aim")
    lines = [head, *((row.work, row.size, row.figure, row.comparison, row.aim) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)
