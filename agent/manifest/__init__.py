"""Pure: bytes of a file -> Manifests with object, key, file:line and digest.

Duty: give YAML and JSON the meaning they have to kubectl, and name each object.
Entry points: ``paths.is_manifest_path``, ``ignore.IgnoreRules``, ``load.load_file``,
``collection.collect``, ``redact.redact``; ``marks`` names our labels and annotations.
May import: ``errors``. No event loop, no I/O.
Promises: documents before a broken one are kept, the broken one and what follows it in that file
are not, and the error says file, line and reason; bombs, huge files, deep nesting and binary files
are one clear error for one file; values are JSON's types only, integers exact.
"""
