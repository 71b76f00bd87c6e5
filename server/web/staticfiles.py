"""Static files under names that carry their content's hash, so that browsers may keep them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """WhiteNoise's hashed and compressed files; the ``import`` lines of ES modules are rewritten to the hashed names too."""

    support_js_module_import_aggregation = True
    # A module's name depends on those it imports: one pass for each level. The statement verifier has ten, Django allows five.
    max_post_process_passes = 16
