"""All tests, each step with its time; the last line is `N passed, M failed`, an executed notebook or a step being one.

    python tools/test.py                         # every step
    python tools/test.py guard notebooks         # some of them
    python tools/test.py --flags "slow cuda"     # only notebooks with such cells, those cells run too, a process each"""
import argparse, os, re, signal, subprocess, sys, threading, time
from contextlib import suppress
from pathlib import Path

from project import directives, find, nbs, notebooks, read, rel, root

scripts = Path(sys.executable).parent
# Two notebooks run side by side on few cores; more threads each would only get in each other's way
env = {**os.environ, 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1', 'MPLBACKEND': 'agg',
       'PYTHONPATH': str(root), 'PATH': f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
# One process runs many notebooks, and Triton asks only once, when it is imported, whether to interpret its kernels
if not Path('/dev/nvidiactl').exists(): env['TRITON_INTERPRET'] = '1'


def run(cmd, limit, on_line=lambda l: None):
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
            on_line(line.rstrip('\n'))
        rc = p.wait()
    except BaseException:  # Ctrl-C: the session of its own does not hear it
        kill()
        raise
    finally: timer.cancel()
    if late.is_set(): print(f'    stopped after {limit} s')
    return rc == 0 and not late.is_set()

def tool(name, *args, limit=600): return lambda: (1, 0) if run([sys.executable, root/'tools'/f'{name}.py', *args], limit) else (0, 1)

def named(path):
    "A notebook as it is named here, from what nbdev_test calls it"
    path = (root/path).resolve()
    return path.relative_to(nbs).as_posix() if path.is_relative_to(nbs) else path.name

def nbdev_test(*args, expect, limit):
    "Run nbdev_test and trust only what it says it did: (passed, failed) notebooks"
    done, bad, began, took, errors = set(), set(), {}, {}, []
    want = {named(p) for p in expect}
    seen = {'success': False, 'list': False, 'error': False}
    def on_line(l):
        # Two workers share the line: one's text can come before the other's newline
        for what, path in re.findall(r'(Starting|- Completed) (.+?\.ipynb)', l):
            n = named(path)
            if what == 'Starting': began[n] = time.time()
            else:
                done.add(n)
                took[n] = time.time() - began.get(n, time.time())
                seen['error'] = False
        if re.search(r'\w in .+\.ipynb:$', l): seen['error'] = True
        if seen['error'] or seen['list']: errors.append(l)
        if l == 'Success.': seen['success'] = True
        if l.startswith('nbdev Tests Failed On'): seen['list'] = True
        if seen['list'] and (m := re.match(r'\t(.+\.ipynb)$', l)): bad.update(w for w in want if Path(w).name == m[1])
    ok = run([scripts/'nbdev_test', '--do_print', *args], limit, on_line)
    failed = bad | (want - done)
    if failed - bad: print(f'    not executed: {" ".join(sorted(failed - bad))}')
    if not (ok and seen['success']) and not failed: failed = want  # it ended badly and does not say where
    if failed: complaints.append('\n'.join(errors[-100:]))
    print('    slowest:', ', '.join(f'{n} {s:.0f} s' for n, s in sorted(took.items(), key=lambda o: -o[1])[:5]))
    return len(want - failed), len(failed)

def all_notebooks():
    ps = notebooks()
    return nbdev_test('--n_workers', 2, expect=ps, limit=1500) if ps else (0, 1)

complaints = []  # what failed notebooks said: said again at the end, where it is looked for
steps = {
    'guard': tool('guard'),
    'in step': tool('check_step'),
    'notebooks': all_notebooks,
    'staged docs': tool('stage_docs'),
    'readme': tool('readme', '--check'),
    'wheel': tool('wheel_check'),
}

def flagged(flags, names):
    "A step for each notebook with cells of these flags"
    has = lambda p: any(set(flags) & directives(c).keys() for c in read(p)['cells'])
    ps = [p for p in find(names) if has(p)]
    if not ps: print(f'no cell carries {" or ".join(flags)}')
    one = lambda p: lambda: nbdev_test('--path', rel(p), '--n_workers', 1, '--flags', ' '.join(flags), expect=[p], limit=7200)
    return {rel(p): one(p) for p in ps}

def main():
    ap = argparse.ArgumentParser(description='All tests')
    ap.add_argument('names', nargs='*', help=f'steps ({", ".join(steps)}); with --flags, notebooks')
    ap.add_argument('--flags', default='', help='run the cells with these test flags, one notebook a process')
    a = ap.parse_args()
    if unknown := [] if a.flags else [n for n in a.names if n not in steps]: ap.error(f'no such step: {unknown[0]}')
    if 'cuda' in a.flags.split():
        import torch
        if not torch.cuda.is_available(): sys.exit('no CUDA device here')
    todo = flagged(a.flags.split(), a.names) if a.flags else {n: f for n, f in steps.items() if not a.names or n in a.names}
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
