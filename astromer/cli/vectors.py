"""`astromer search` and `astromer anomalies`: what is alike, and what is rare.

Both work on a file of `astromer embed` and need neither a model nor TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from astromer.cli import terminal
from astromer.errors import ConfigError

if TYPE_CHECKING:
    from astromer.inference import Embeddings

__all__ = ["anomalies", "search"]

File = Annotated[
    Path,
    typer.Argument(
        metavar="EMBEDDINGS", help="File of `astromer embed`: Parquet, CSV or NPZ."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write all of it: Parquet, CSV or NPZ."),
]


def search(
    embeddings: File,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object",
            metavar="ID",
            help="Find what is like this object of the file; may be repeated.",
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Find what is like the light curves of this file of embeddings, from "
            "the same preset.",
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", min=1, metavar="N", help="Matches for each of them.")
    ] = 10,
    show: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Searches to show on the screen."),
    ] = 20,
    out: Out = None,
) -> None:
    """Find the light curves that are most like others, without labels."""
    from astromer.inference import Embeddings
    from astromer.inference.tables import check_result

    if out is not None:
        check_result(out)
    searched = Embeddings.read(embeddings)
    queries = _queries(searched, objects or [], like)
    matches = searched.search(queries, k=k)
    if out is not None:
        matches.write(out)
    for number in range(min(show, len(queries))):
        name = _name(queries.object_id[number], queries.passband[number])
        table = terminal.make_table(
            f"Most like {name}",
            ["Rank", "Object", "Passband", "Class", "Similarity"],
            numeric=["Rank", "Similarity"],
        )
        for row in range(number * k, number * k + k):
            table.add_row(
                str(matches.rank[row]),
                escape(str(matches.object_id[row])),
                escape(str(matches.passband[row])),
                escape(str(matches.class_name[row])),
                f"{matches.similarity[row]:.3f}",
            )
        terminal.output(table)
    if out is not None:
        terminal.output(
            f"{terminal.counted(len(matches), 'match', 'matches')} in {escape(str(out))}"
        )
    elif show < len(queries):
        left = terminal.counted(len(queries) - show, "search", "searches")
        terminal.output(f"{left} more; see all with --show or --out.")


def anomalies(
    embeddings: File,
    k: Annotated[
        int,
        typer.Option(
            "-k",
            min=1,
            metavar="N",
            help="The neighbor whose distance counts: groups of fewer are rare as a "
            "whole.",
        ),
    ] = 20,
    show: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Light curves to show on the screen."),
    ] = 20,
    out: Out = None,
) -> None:
    """List the light curves that are least like all others, the rarest first."""
    import numpy as np

    from astromer.inference import Embeddings
    from astromer.inference.tables import check_result, write_table

    if out is not None:
        check_result(out)
    read = Embeddings.read(embeddings)
    scores = read.anomaly(k=k)
    order = np.argsort(-scores, kind="stable")
    ranked, scores = read.take(order), scores[order]
    table = terminal.make_table(
        f"Least like the others, of {terminal.counted(len(read), 'light curve')}",
        ["Rank", "Object", "Passband", "Class", "Observations", "Anomaly"],
        numeric=["Rank", "Observations", "Anomaly"],
    )
    for row in range(min(show, len(ranked))):
        table.add_row(
            str(row + 1),
            escape(str(ranked.object_id[row])),
            escape(str(ranked.passband[row])),
            escape(str(ranked.class_name[row])),
            terminal.count(ranked.n_observations[row]),
            f"{scores[row]:.3f}",
        )
    terminal.output(table)
    if out is not None:
        columns = {"rank": np.arange(1, len(ranked) + 1), **ranked.columns()}
        del columns["embedding"]
        write_table(out, columns | {"anomaly": scores})
        terminal.output(
            f"{terminal.counted(len(ranked), 'light curve')} in {escape(str(out))}"
        )


def _queries(searched: Embeddings, objects: list[str], like: Path | None) -> Embeddings:
    import numpy as np

    from astromer.inference import Embeddings

    if bool(objects) == (like is not None):
        raise ConfigError(
            "Say what to look for: objects of the file, or light curves of another. "
            f"Received: --object {' '.join(objects) or 'none'}, --like {like or 'none'}. "
            "Give one of the two."
        )
    if like is not None:
        return Embeddings.read(like)
    rows = [np.flatnonzero(searched.object_id == name) for name in objects]
    for name, found in zip(objects, rows, strict=True):
        if not len(found):
            raise ConfigError(
                "The file holds no such object. "
                f"Received: --object {name}; it holds {len(searched)} light curves, "
                f"the first of {terminal.listed(searched.object_id[:3].tolist())}. "
                "Check the name."
            )
    return searched.take(np.concatenate(rows))


def _name(object_id: str, passband: str) -> str:
    return escape(f"{object_id} {passband}".strip() or "a light curve without a name")
