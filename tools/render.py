"""Execute notebooks in place and store their outputs: python tools/render.py [NOTEBOOK ...] [--flags "slow cuda"]

Cells marked with a test flag or `eval: false` are left alone, outputs included, unless `--flags` asks for them. A notebook
that fails is not written."""
import argparse, json, os, re, time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbdev.clean import nbdev_clean

from guard import check_outputs
from outputs import rendered_with, versions
from project import find, rel, root, why_skipped

skip = 'skip-execution'  # nbclient's own tag


def execute(path, forced, timeout):
    nb = nbformat.read(path, as_version=4)
    at = {}
    for c in nb.cells:
        if c.cell_type == 'code' and why_skipped(c, forced): c.metadata['tags'] = [skip]
    client = NotebookClient(nb, timeout=timeout, kernel_name='python3', resources={'metadata': {'path': path.parent}},
                            record_timing=False, extra_arguments=['--log-level=40'],
                            on_cell_start=lambda cell, cell_index: at.update(i=cell_index))
    try: client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as e:
        i = at.get('i', 0)
        said = re.sub(r'\x1b\[[\d;]*m', '', str(e))[-3000:]
        raise SystemExit(f'{said}\n{rel(path)}: cell {i} {nb.cells[i].get("id")} failed ({type(e).__name__}); not written')
    bad = [f'cell {i} {c.id}: {o}' for i, c in enumerate(nb.cells) for o in check_outputs(c)]
    if bad: raise SystemExit('\n'.join(bad) + f'\n{rel(path)}: not written')
    for c in nb.cells: c.metadata.pop('tags', None)
    nb.metadata['kernelspec'] = {'display_name': 'python3', 'language': 'python', 'name': 'python3'}
    nb.metadata.pop('widgets', None)   # live widgets have other names in every run
    nbformat.write(nb, path)
    nbdev_clean(str(path))

def main():
    ap = argparse.ArgumentParser(description='Execute notebooks in place')
    ap.add_argument('names', nargs='*', help='notebooks; all without')
    ap.add_argument('--flags', default='', help='test flags whose cells are run too')
    ap.add_argument('--timeout', type=int, default=1200, help='seconds a cell may take')
    a = ap.parse_args()
    paths = find(a.names)
    os.chdir(root)
    # One thread, as in the tests: the same sums, so the same digits. The kernel imports the library from this tree.
    os.environ.pop('MPLBACKEND', None)   # another backend than the notebook's own would store no figures
    os.environ.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', PYTHONHASHSEED='0', PYTHONPATH=str(root))
    for p in paths:
        start = time.time()
        print(rel(p), end=' ', flush=True)
        execute(p, a.flags.split(), a.timeout)
        print(f'{time.time()-start:.0f} s')
    rendered_with.write_text(json.dumps(versions(), indent=1) + '\n')

if __name__ == '__main__': main()
