"""The verbs: plain functions on Arrow tables, and the PTransforms that apply them."""
