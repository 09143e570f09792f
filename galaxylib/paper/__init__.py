"""Paper: what only the book needs, figures, reports, comparisons, small experiments and the ledger.

In come a run's folder and the results of earlier chapters.
Out go figures, tables and JSON files that the chapters quote. No other room imports this one.
"""
