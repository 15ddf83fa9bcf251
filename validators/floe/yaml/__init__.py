"""Reading, editing and writing YAML; what `import yaml` names, here as elsewhere, is PyYAML."""

from floe.yaml.document import Document, YamlError
from floe.yaml.reading import documents, load_file

__all__ = ["Document", "YamlError", "documents", "load_file"]
