"""Where the nouns lie: fsspec, Parquet and Delta Lake under one root, local or on S3."""
