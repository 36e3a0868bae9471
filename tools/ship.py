"""Take finished runs into the package: their records, and their weights in half precision where they were kept.

    python tools/ship.py runs            # what is not there yet
    python tools/ship.py runs --commit 1a2b3c4d5e6f=1a2b3c4d7788   # records name a commit that was told wrong

A record that names a commit which this repository does not have is refused. The command says which notebooks to test
afterwards: one whose stored output shows or counts records fails until it is rendered."""
import argparse, re, subprocess, sys, tempfile
from pathlib import Path

from project import notebooks, read, rel, root, src

sys.path.insert(0, str(root))
from mcrm_nb.runs.records import load_tensors, merge_records, read_record, save_tensors, sealed, weights_of, write_json

at = root/'mcrm_nb'/'records'/'runs'


def machines(record): return [record['made_on'], *record.get('made_before_on', [])]

def known(commit):
    "True if this repository has the commit, or if the record names none, as outside a repository"
    name = (commit or '').removesuffix('+')
    return not name or not subprocess.run(['git', '-C', root, 'cat-file', '-e', f'{name}^{{commit}}'],
                                          capture_output=True).returncode

def correction(text):
    "(wrong commit, right commit) from WRONG=RIGHT"
    wrong,_,right = text.partition('=')
    if not all(re.fullmatch(r'[0-9a-f]{12}\+?', c) for c in (wrong, right)) or not known(right):
        raise argparse.ArgumentTypeError(f'{text!r}: expected WRONG=RIGHT, two commits of 12 digits, '
                                         'the second in this repository')
    return wrong,right

def correct(path, right_for):
    "Write a record again with the right commits in the place of those that were told wrong; True if it named one"
    record = read_record(path)
    meant = [m for m in machines(record) if m.get('commit') in right_for]
    for m in meant: m['commit'] = right_for[m['commit']]
    if meant: write_json(path, sealed(record))
    return bool(meant)

def refuse_unknown(paths):
    "End with an error if a record names a commit that is not in this repository"
    named = {m.get('commit'): p for p in paths for m in machines(read_record(p))}
    for commit,p in named.items():
        if not known(commit): raise SystemExit(
            f'{p.name}: made from commit {commit}, which is not in this repository; nothing was taken from here. '
            f'If it was told wrong, give the right one: --commit {commit}=RIGHT')

def take(source, right_for):
    "Merge the records of a source, corrected, and the weights beside them; the number of new ones"
    with tempfile.TemporaryDirectory() as copy:
        merge_records([source], copy)
        paths = sorted(Path(copy).glob('*.json'))
        for p in paths:
            if correct(p, right_for) and weights_of(source/p.name).exists():
                raise SystemExit(f'{source/p.name}: its weights name its checksum, so its commit cannot be corrected')
        refuse_unknown(paths)
        done = merge_records([copy], at)
    for name in done:
        kept,here = weights_of(source/f'{name}.json'),weights_of(at/f'{name}.json')
        if done[name] == 'other' or not kept.exists() or here.exists(): continue
        tensors,info = load_tensors(kept)
        save_tensors(here, {k: t.half() for k,t in tensors.items()}, info)
    new = sum(v == 'new' for v in done.values())
    print(f'{source}: {new} new of {len(done)} records')
    return new

def pages():
    "Notebooks that say something else with other records"
    shows = lambda c: 'read_records()' in src(c) or "'--records', none" in src(c)
    return [rel(p) for p in notebooks() if any(map(shows, read(p)['cells']))]

def main():
    ap = argparse.ArgumentParser(description='Take finished runs into the package')
    ap.add_argument('sources', nargs='+', type=Path, help='folders or archives of records')
    ap.add_argument('--commit', action='append', default=[], type=correction, metavar='WRONG=RIGHT',
                    help='name another commit in the records that are taken over')
    o = ap.parse_args()
    new = sum(take(source, dict(o.commit)) for source in o.sources)
    if new: print('Test the notebooks that show records, render those that fail, and write the README again:',
                  'python tools/test.py ' + ' '.join(pages()), sep='\n    ')

if __name__ == '__main__': main()
