"""All tests, each step with its time; the last line is `N passed, M failed`, an executed notebook or a step being one.

    python tools/test.py                         # every step
    python tools/test.py guard notebooks         # some of them
    python tools/test.py nbs/studies/11_adding.ipynb   # some notebooks alone
    python tools/test.py --flags "slow cuda"     # only notebooks with such cells, those cells run too, a process each"""
import argparse, json, os, select, signal, subprocess, sys, tempfile, threading, time
from contextlib import suppress
from pathlib import Path

from outputs import others
from project import directives, find, notebooks, read, rel, root, src

scripts = Path(sys.executable).parent
# Two notebooks run side by side on few cores; more threads each would only get in each other's way
env = {**os.environ, 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1', 'MPLBACKEND': 'agg',
       'PYTHONPATH': str(root), 'PATH': f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
# One process runs many notebooks, and Triton asks only once, when it is imported, whether to interpret its kernels
if not Path('/dev/nvidiactl').exists(): env['TRITON_INTERPRET'] = '1'


def run(cmd, limit):
    "Run `cmd`, its output streamed; True if it exits with 0 within `limit` seconds"
    p = subprocess.Popen([str(o) for o in cmd], cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         errors='replace', start_new_session=True)
    late = threading.Event()
    def kill():
        with suppress(ProcessLookupError): os.killpg(p.pid, signal.SIGKILL)
    def stop():
        late.set()
        kill()
    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        for line in p.stdout:
            print('   ', line, end='', flush=True)
        rc = p.wait()
    except BaseException:  # Ctrl-C: the session of its own does not hear it
        kill()
        raise
    finally: timer.cancel()
    if late.is_set(): print(f'    stopped after {limit} s')
    return rc == 0 and not late.is_set()

def tool(name, *args, limit=600): return lambda: (1, 0) if run([sys.executable, root/'tools'/f'{name}.py', *args], limit) else (0, 1)

class Worker:
    "A process that tests notebooks one after another, each within a limit of its own"
    def __init__(self, flags): self.flags, self.path, self.process = flags, None, None

    def start(self, path):
        if self.process is None: self._launch()
        self.path, self.began, self.spent, self.cell = path, time.time(), 0., None
        self.differing = {'words': [], 'numbers': []}
        self.output.seek(0)
        self.output.truncate()
        print(path, file=self.process.stdin, flush=True)

    def _launch(self):
        mine, theirs = os.pipe()
        self.output = tempfile.TemporaryFile('w+', errors='replace')
        self.process = subprocess.Popen([sys.executable, root/'tools'/'notebook_worker.py', str(theirs), '--flags', self.flags], cwd=root,
                                        env=env, text=True, stdin=subprocess.PIPE, stdout=self.output, stderr=subprocess.STDOUT,
                                        pass_fds=[theirs], start_new_session=True)
        os.close(theirs)
        self.reports, self.rest = mine, b''

    def news(self):
        "Reports that have come in; None at the end if the process is gone"
        got = os.read(self.reports, 65536)
        *lines, self.rest = (self.rest+got).split(b'\n')
        return [json.loads(l) for l in lines] + [None]*(not got)

    def said(self):
        self.output.seek(0)
        return self.output.read()[-6000:]

    def stop(self):
        if self.process is None: return
        with suppress(ProcessLookupError): os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.reports)
        self.process = None

    def unlike(self):
        "What is wrong with the stored outputs, in words; nothing where libraries have other versions"
        at = [where(self.path, i) for i in self.differing['words']]
        if not at or others(): return ''
        return f'it says something else than its stored output {at[0]}; execute it: make render NB={rel(self.path)}'

def where(path, index):
    "A code cell in words: its place, its id, its first line of code"
    if index is None: return 'before its first cell'
    c = read(path)['cells'][index]
    first = next((l for l in src(c).splitlines() if l.strip() and not l.startswith('#|')), '')
    return f"in cell {index} {c.get('id')}: {first.strip()[:80]}"

def test_notebooks(paths, flags='', workers=2, limit=900):
    """Test notebooks, some at a time: (passed, failed). `limit` is the time that one may take on an idle machine, in seconds; while more
    processes want to run than there are cores, time counts less in proportion, so a busy machine fails nothing that an idle one passes."""
    crew, waiting, took, failed = [Worker(flags) for _ in range(min(workers, len(paths)))], list(paths), {}, {}
    differing = {'words': [], 'numbers': []}
    last = time.time()
    def end(w, problem):
        took[w.path] = time.time()-w.began
        print(f"    {'FAILED' if problem else 'passed'}  {rel(w.path)}, {took[w.path]:.0f} s{': ' + problem if problem else ''}", flush=True)
        if problem:
            failed[w.path] = problem
            complaints.append(f'{rel(w.path)}: {problem}\n{w.said()}')
        w.path = None
    try:
        while waiting or any(w.path for w in crew):
            for w in crew:
                if w.path is None and waiting: w.start(waiting.pop(0))
            busy = {w.reports: w for w in crew if w.path}
            ready, _, _ = select.select(list(busy), [], [], 2)
            now = time.time()
            share = min(1., (os.cpu_count() or 1)/max(os.getloadavg()[0], 1e-3))
            for w in busy.values(): w.spent += (now-last)*share
            last = now
            for told, w in ((told, busy[r]) for r in ready for told in busy[r].news()):
                if told is None:
                    rc = w.process.wait()
                    end(w, f'its process ended with exit code {rc} {where(w.path, w.cell)}')
                    w.stop()
                elif 'cell' in told: w.cell = told['cell']
                elif 'differs' in told: w.differing[told['differs']].append(w.cell)
                else:
                    for kind in ('words', 'numbers'): differing[kind] += [f'{rel(w.path)} {where(w.path, i)}' for i in w.differing[kind]]
                    end(w, w.unlike() if told['done'] else f'an error {where(w.path, w.cell)}')
            for w in crew:
                if w.path and w.spent > limit:
                    w.stop()
                    end(w, f'stopped after {now-w.began:.0f} s (limit {limit} s of an idle machine) {where(w.path, w.cell)}')
    finally:
        for w in crew: w.stop()
    print('    slowest:', ', '.join(f'{rel(p)} {s:.0f} s' for p, s in sorted(took.items(), key=lambda o: -o[1])[:8]))
    notes = {'numbers': 'as on another machine or with an output that is not the newest'}
    if new := others(): notes['words'] = f"which other versions may print ({', '.join(new)})"
    for kind, why in notes.items():
        if differing[kind]: print(f'    other {kind} than in the stored outputs, {why}:', *differing[kind], sep='\n        ')
    return len(paths)-len(failed), len(failed)

def code_cells(path): return sum(c['cell_type'] == 'code' for c in read(path)['cells'])

def all_notebooks():
    "Test every notebook, those with the most cells first, so that no long one begins when the others are done"
    return test_notebooks(sorted(notebooks(), key=code_cells, reverse=True)) if notebooks() else (0, 1)

complaints = []  # what failed notebooks said: said again at the end, where it is looked for
steps = {
    'guard': tool('guard'),
    'in step': tool('check_step'),
    'defaults': tool('defaults'),
    'notebooks': all_notebooks,
    'staged docs': tool('stage_docs'),
    'readme': tool('readme', '--check'),
    'wheel': tool('wheel_check'),
}

def wanted(names):
    "The steps that `names` ask for, every step without names; notebooks among them are tested in one step"
    asked = {n: steps[n] for n in names if n in steps}
    some = [n for n in names if n not in steps]
    try: ps = find(some) if some else []
    except SystemExit as e: sys.exit(f'{e}; the steps are {", ".join(steps)}')
    if ps: asked.setdefault('notebooks', lambda: test_notebooks(ps))
    return asked or steps

def flagged(flags, names):
    "A step for each notebook with cells of these flags"
    has = lambda p: any(set(flags) & directives(c).keys() for c in read(p)['cells'])
    ps = [p for p in find(names) if has(p)]
    if not ps: print(f'no cell carries {" or ".join(flags)}')
    one = lambda p: lambda: test_notebooks([p], ' '.join(flags), limit=7200)
    return {rel(p): one(p) for p in ps}

def main():
    ap = argparse.ArgumentParser(description='All tests')
    ap.add_argument('names', nargs='*', help=f'steps ({", ".join(steps)}) or notebooks; with --flags, notebooks')
    ap.add_argument('--flags', default='', help='run the cells with these test flags, one notebook a process')
    a = ap.parse_args()
    if 'cuda' in a.flags.split():
        import torch
        if not torch.cuda.is_available(): sys.exit('no CUDA device here')
    todo = flagged(a.flags.split(), a.names) if a.flags else wanted(a.names)
    passed = failed = 0
    report = []
    for name, step in todo.items():
        print(f'== {name}', flush=True)
        start = time.time()
        p, f = step()
        passed, failed = passed + p, failed + f
        many = f' ({p} of {p+f} notebooks)' if p + f > 1 else ''
        report.append(f'{"FAILED" if f else "passed"}  {name}, {time.time()-start:.0f} s{many}')
        print(report[-1], flush=True)
    if complaints: print('', '== what failed', *complaints, sep='\n', flush=True)
    print('', *report, f'{passed} passed, {failed} failed', sep='\n', flush=True)
    sys.exit(bool(failed))

if __name__ == '__main__': main()
