"""Take finished runs into the package: their records, and their weights in half precision where they were kept.

    python tools/ship.py runs            # what is not there yet"""
import sys
from pathlib import Path

from project import root

sys.path.insert(0, str(root))
from mcrm_nb.runs.records import load_tensors, merge_records, save_tensors, weights_of

def main():
    at = root/'mcrm_nb'/'records'/'runs'
    for source in map(Path, sys.argv[1:]):
        done = merge_records([source], at)
        for name in done:
            kept,here = weights_of(source/f'{name}.json'),weights_of(at/f'{name}.json')
            if done[name] == 'other' or not kept.exists() or here.exists(): continue
            tensors,info = load_tensors(kept)
            save_tensors(here, {k: t.half() for k,t in tensors.items()}, info)
        print(f'{source}: {sum(v == "new" for v in done.values())} new of {len(done)} records')

if __name__ == '__main__': main()
