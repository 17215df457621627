"""A diagnosis as tables and in a sentence."""

from blipvino.measure.report.diagnosis_tables import diagnosis_tables, summary


def test_tables_and_the_sentence_name_the_worst(diagnosis):
    graphs, layers = diagnosis_tables(diagnosis, 4)
    assert len(graphs.rows) == 5 and len(layers.rows) == 4
    worst = diagnosis.worst(1)[0]
    assert layers.rows[0][0] == worst.label and worst.label in summary(diagnosis)
    ratios = [layer.noise_to_signal for layer in diagnosis.worst()]
    assert ratios == sorted(ratios, reverse=True)
