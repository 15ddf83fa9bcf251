"""Reads, edits and writes YAML. In this package too, `import yaml` imports PyYAML."""

from floe.yaml.document import Document, YamlError
from floe.yaml.reading import documents, load_file

__all__ = ["Document", "YamlError", "documents", "load_file"]
