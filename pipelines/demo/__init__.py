"""`babelbeam demo`: the main job on the embedded corpus, by the same commands as with a file of one's own."""

from dataclasses import dataclass
from importlib.resources import as_file, files

from pipelines import classify
from pipelines.report import print_table
from storage.files import Files
from storage.query import ask

QUERY = """\
SELECT label, count(*) AS texts, count(DISTINCT language) AS languages
FROM read_parquet('{codings}/**/*.parquet', hive_partitioning = true)
WHERE codebook = 'cap@1'
GROUP BY label ORDER BY texts DESC, label LIMIT 8"""


@dataclass(frozen=True)
class Options:
    """Import the embedded corpus, code it into CAP topics and sentiment, and query the result.

    Examples:
      babelbeam demo
    """

    root: str = "demo-root"
    """Folder that is to hold everything."""


def run(options: Options) -> int:
    """Run the command; return the exit code."""
    with as_file(files("pipelines") / "demo" / "corpus.csv") as corpus:
        print(f"$ babelbeam classify --root {options.root} --input {corpus} --source demo --codebook cap sentiment3")
        code = classify.run(
            classify.Options(options.root, codebook=("cap", "sentiment3"), input=(str(corpus),), source="demo"), []
        )
    sql = QUERY.format(codings=Files(options.root).url("codings").replace("'", "''"))
    print(f"\n$ duckdb\n{sql}")
    header, rows = ask(sql)
    print_table("answer", header, rows)
    return code
