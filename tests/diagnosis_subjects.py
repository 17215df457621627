"""A short diagnosis."""

from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle


def diagnosed(bundle, **options):
    return diagnose_bundle(bundle, "demo:test", DiagnoseOptions(**{"samples": 3, **options}), show_progress=False)
