"""The statistical validation: what e2analytics says of data whose truth is known.

To add a section, write one module here with ``NAME`` (of its files and of ``--section``), ``TITLE``
(its heading), ``REPLICATES`` (how many repetitions make it worth reading) and ``run(replicates,
seed)``, which returns a ``Section``: Markdown text, tables as polars frames and Altair charts, in the
order of reading. Inside ``run``, hand repetitions to ``in_parallel``: it uses every processor and
shows the progress. Then name the module in ``SECTIONS`` of ``__main__``. Date, machine, command,
seed and replicates are put beneath every table by themselves. ``unit_slips`` is an example.
"""
