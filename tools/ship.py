"""Take finished runs into the package: their records, and their weights in half precision where they were kept.

    python tools/ship.py runs            # what is not there yet

It says which notebooks to test afterwards: one whose stored output shows or counts records fails until it is rendered."""
import sys
from pathlib import Path

from project import notebooks, read, rel, root, src

sys.path.insert(0, str(root))
from mcrm_nb.runs.records import load_tensors, merge_records, save_tensors, weights_of

def pages():
    "Notebooks that say something else with other records"
    return [rel(p) for p in notebooks() if any('read_records()' in src(c) or "'--records', none" in src(c) for c in read(p)['cells'])]

def main():
    at,added = root/'mcrm_nb'/'records'/'runs',0
    for source in map(Path, sys.argv[1:]):
        done = merge_records([source], at)
        for name in done:
            kept,here = weights_of(source/f'{name}.json'),weights_of(at/f'{name}.json')
            if done[name] == 'other' or not kept.exists() or here.exists(): continue
            tensors,info = load_tensors(kept)
            save_tensors(here, {k: t.half() for k,t in tensors.items()}, info)
        added += (new := sum(v == 'new' for v in done.values()))
        print(f'{source}: {new} new of {len(done)} records')
    if added: print('Test the notebooks that show records, render those that fail, and write the README again:',
                    'python tools/test.py ' + ' '.join(pages()), sep='\n    ')

if __name__ == '__main__': main()
