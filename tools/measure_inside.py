"""Measure every unit of the trained readers on Penn Treebank's validation text, for the page on time scales, which needs no text then.

    python tools/measure_inside.py"""
import sys

import pandas as pd

from project import root

sys.path.insert(0, str(root))
from mcrm_nb.analysis.inside import readers, untrained
from mcrm_nb.tasks.files import data_bytes
from mcrm_nb.tasks.penn_treebank import symbols
from mcrm_nb.analysis.time_scales import followers, streams, unit_times

def main():
    texts = streams(symbols(data_bytes('ptb/ptb.valid.txt').decode(), 'char'))
    at = root/'mcrm_nb'/'records'/'inside'
    at.mkdir(exist_ok=True)
    there = readers()
    both = lambda r, texts: pd.concat([followers(o, texts).assign(trained=t) for t, o in ((True, r), (False, untrained(r)))])
    for name, measure in dict(units=unit_times, followers=both).items():
        table = pd.concat([measure(r, texts) for r in there], ignore_index=True)
        table.to_csv(at/f'{name}.csv', index=False, float_format='%.6g', lineterminator='\n')
        print(f'{name}: {len(table)} rows')

if __name__ == '__main__': main()
