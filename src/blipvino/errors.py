"""The one exception family. Each message names the thing, what was expected, and what to do."""


class BlipvinoError(Exception):
    """Anything that blipvino refuses. The command line prints its message on one line and exits with status 2."""


class CheckpointError(BlipvinoError):
    """A checkpoint that cannot be found, read or understood."""


class BundleError(BlipvinoError):
    """A bundle that is missing, damaged, newer than this version, or cannot be written."""


class DataError(BlipvinoError):
    """A sample source that cannot be found, read or understood."""


class ImageError(BlipvinoError):
    """An image that cannot be found or decoded."""


class InputError(BlipvinoError):
    """A question, prompt or option outside what is allowed."""


class OutputError(BlipvinoError):
    """A file of results that cannot be written."""


class CompressionError(BlipvinoError):
    """A model that cannot be compressed as asked."""


class ExportError(BlipvinoError):
    """A bundle that cannot be written in another format as asked."""


class RetrievalError(BlipvinoError):
    """An index of photos that is missing, damaged, newer, in use, or of another bundle."""


class OverloadError(BlipvinoError):
    """A text that is not taken on, since too many are waiting or the model is being closed."""


class DeadlineError(BlipvinoError):
    """A text that was not done in the time that was given for it."""
