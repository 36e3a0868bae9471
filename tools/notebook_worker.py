"""A process that tests notebooks one after another, for tools/test.py: paths come in as lines, reports go out as JSON lines.

    python tools/notebook_worker.py FD [--flags "slow cuda"]

FD is the number of the pipe for reports: {"cell": index} before each code cell, {"differs": "words" or "numbers"} after a cell
that says something else than its stored output, {"done": passed} after a notebook."""
import argparse, json, os, sys
from pathlib import Path

from execnb.shell import CaptureShell
from nbdev.test import test_nb

from outputs import difference
from project import flags, root


def forget_formats():
    "Forget how the last notebook had numbers and tables printed; fastai sets a width once, when it is imported"
    if pandas := sys.modules.get('pandas'): pandas.reset_option('^display')
    if 'fastai.imports' in sys.modules: pandas.options.display.max_colwidth = 600
    if torch := sys.modules.get('torch'): torch.set_printoptions(profile='default')

def main():
    ap = argparse.ArgumentParser(description='Test notebooks named on the standard input')
    ap.add_argument('pipe', type=int, help='number of the pipe for reports')
    ap.add_argument('--flags', default='', help='test flags whose cells are run too')
    a = ap.parse_args()
    pipe = os.fdopen(a.pipe, 'w', buffering=1)
    run_cell = CaptureShell.cell
    def cell(self, cell, *args, **kwargs):
        if cell.cell_type != 'code': return run_cell(self, cell, *args, **kwargs)
        print(json.dumps(dict(cell=cell.idx_)), file=pipe)
        stored = json.loads(json.dumps(cell.get('outputs', [])))
        try: return run_cell(self, cell, *args, **kwargs)
        finally:
            differs = '' if 'varies' in cell.directives_ else difference(stored, cell.outputs)
            if differs: print(json.dumps(dict(differs=differs)), file=pipe)
    CaptureShell.cell = cell
    for line in sys.stdin:
        passed, _ = test_nb(Path(line.strip()), skip_flags=flags, force_flags=a.flags.split(), basepath=root)
        forget_formats()
        sys.stdout.flush()
        sys.stderr.flush()
        print(json.dumps(dict(done=bool(passed))), file=pipe)

if __name__ == '__main__': main()
