"""Take finished runs into the package: their records, and their weights in half precision where they were kept.

    python tools/ship.py runs            # what is not there yet
    python tools/ship.py runs --commit 1a2b3c4d5e6f=1a2b3c4d7788   # a record names a commit that was told wrong

A record that names a commit which this repository does not have is refused. The command says which notebooks to test
afterwards: one whose stored output shows or counts records fails until it is rendered."""
import argparse, json, subprocess, sys
from pathlib import Path

from project import notebooks, read, rel, root, src

sys.path.insert(0, str(root))
from mcrm_nb.runs.records import _seal, load_tensors, merge_records, read_record, save_tensors, weights_of

at = root/'mcrm_nb'/'records'/'runs'


def machines(record): return [record['made_on'], *record.get('made_before_on', [])]

def correct(path, wrong, right):
    "Write a record again with the right commit in the place of the one that was told wrong"
    record = read_record(path)
    meant = [m for m in machines(record) if m.get('commit') == wrong]
    if not meant: return 0
    if weights_of(path).exists(): raise SystemExit(f'{path}: its weights name its checksum, so it cannot be corrected')
    for m in meant: m['commit'] = right
    record['digest'] = _seal(record)
    path.write_text(json.dumps(record, indent=1) + '\n')
    return 1

def known(commit):
    name = (commit or '').removesuffix('+')
    return not name or not subprocess.run(['git', '-C', root, 'cat-file', '-e', f'{name}^{{commit}}'], capture_output=True).returncode

def refuse_unknown(paths):
    "End with an error if a record names a commit that is not in this repository"
    named = {}
    for p in paths:
        for m in machines(read_record(p)): named.setdefault(m.get('commit'), p)
    for commit,p in named.items():
        if not known(commit): raise SystemExit(f'{p}: made from commit {commit}, which is not in this repository; nothing was '
                                               f'taken over. If it was told wrong, give the right one: --commit {commit}=RIGHT')

def pages():
    "Notebooks that say something else with other records"
    return [rel(p) for p in notebooks() if any('read_records()' in src(c) or "'--records', none" in src(c) for c in read(p)['cells'])]

def main():
    ap = argparse.ArgumentParser(description='Take finished runs into the package')
    ap.add_argument('sources', nargs='+', type=Path, help='folders of records')
    ap.add_argument('--commit', action='append', default=[], metavar='WRONG=RIGHT', help='correct a commit in sources and package')
    o = ap.parse_args()
    for wrong,right in (c.split('=') for c in o.commit):
        if not known(right): ap.error(f'--commit: {right} is not in this repository')
        n = sum(correct(p, wrong, right) for folder in (*o.sources, at) for p in sorted(folder.glob('*.json')))
        print(f'{n} records name {right} now')
    refuse_unknown(p for source in (*o.sources, at) for p in sorted(source.glob('*.json')))
    added = 0
    for source in o.sources:
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
