"""Everything a GPU is wanted for, on a machine that has torch and no internet, in pieces of some minutes.

    python tools/gpu.py OUT [--budget 540] [--wheels DIR] [--data DIR] [--resume OUT_BEFORE] [--plan paper] [--jobs 2]
                            [--skip tests bench queue]

Sets up what is missing from the wheels (nothing is fetched), runs the cells of the notebooks that want a GPU, records the
benchmark, then works through a plan until the budget is over; what an OUT_BEFORE has already, tests that passed or a
benchmark, is not done again. OUT gets at most eight files, none over 16 MB: the log of the tests, a report, bench.zip,
records.zip for `mcrm_nb records merge`, and state-*, from which --resume goes on. Checkpoints beyond 60 MB are left behind,
the largest ones, and their runs begin anew. Several jobs share one GPU: together they do more, but each takes longer (one
with six others beside it took three times as long), so what must be finished comes alone. (Wheels: what `python -c "import mcrm_nb.runs.sweeps"`
misses; fastprogress below 1.1 needs no web server.)"""
import argparse, contextlib, io, json, linecache, os, shutil, subprocess, sys, tempfile, time, traceback, types, zipfile, zlib
from pathlib import Path

from project import directives, nbs, notebooks, read, root, src, why_skipped

part_size, most_parts = 15*2**20, 4   # of the checkpoints that are kept
longest = dict(tests=220, bench=300)   # seconds


def say(*a): print(f'[{time.time()-began:5.0f} s]', *a, flush=True)

def set_up(wheels, site):
    "Unpack the wheels beside the project, if something is missing; the environment for what follows"
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'agg', 'PYTHONUNBUFFERED': '1', 'TQDM_DISABLE': '1'}
    path = lambda *more: os.pathsep.join([str(root), *map(str, more), *filter(None, [os.environ.get('PYTHONPATH')])])
    works = lambda: subprocess.run([sys.executable, '-c', 'import mcrm_nb.runs.sweeps, mcrm_nb.cli'], env=env, capture_output=True, text=True)
    env['PYTHONPATH'] = path()
    if (first := works()).returncode:
        if not wheels: raise SystemExit(f'{first.stderr.strip().splitlines()[-1]}; expected --wheels')
        if not (found := sorted(Path(wheels).glob('*.whl'))):
            raise SystemExit(f'--wheels {wheels}: expected wheels there, found none')
        done = subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps', '--no-compile', '--upgrade',
                               '--target', site, *found], capture_output=True, text=True)
        if done.returncode: raise SystemExit(f'--wheels {wheels}: {done.stderr.strip().splitlines()[-1]}')
        env['PYTHONPATH'] = path(site)
        if (second := works()).returncode: raise SystemExit(f'{second.stderr.strip().splitlines()[-1]}: a wheel is missing')
    return env

@contextlib.contextmanager
def captured():
    "What `capture_output` of IPython does, as far as the notebooks use it"
    text,found = io.StringIO(),types.SimpleNamespace(stdout='', outputs=[])
    try:
        with contextlib.redirect_stdout(text): yield found
    finally: found.stdout = text.getvalue()

def cells(notebook):
    "Run a notebook's cells in order, those for a GPU with them, as far as plain Python can; for a process of its own"
    space = dict(__name__='__main__', display=print)
    try: import IPython.display   # noqa: F401
    except ImportError:
        shown = types.SimpleNamespace(**{k: print for k in ('display', 'HTML', 'Image', 'Markdown', 'SVG')})
        none = types.SimpleNamespace(display=shown, get_ipython=lambda: None, version_info=(9, 0))   # matplotlib asks
        capture = types.SimpleNamespace(capture_output=captured)
        sys.modules.update({'IPython': none, 'IPython.display': shown, 'IPython.utils': types.SimpleNamespace(capture=capture),
                            'IPython.utils.capture': capture})
    for n, cell in enumerate(read(notebook)['cells']):
        if cell['cell_type'] != 'code' or why_skipped(cell, ['cuda', 'slow']): continue
        code = '\n'.join('' if l.lstrip().startswith('%') else l for l in src(cell).splitlines())
        name = f'{Path(notebook).name}, cell {n}'
        linecache.cache[name] = len(code), None, code.splitlines(True), name   # Triton reads the source of its functions
        try: exec(compile(code, name, 'exec'), space)
        except Exception:
            traceback.print_exc()
            sys.exit(1)

def gpu_notebooks():
    return [p for p in notebooks() if any('cuda' in directives(c) for c in read(p)['cells'])]

def tests(env, out, deadline, passed):
    "A process per notebook, all at once, but for those that passed before; name -> passed?"
    done, running = {n: True for n in passed}, {}
    with tempfile.TemporaryDirectory() as logs:
        for p in gpu_notebooks():
            name = p.relative_to(nbs).as_posix()
            if name in passed: continue
            with open(Path(logs)/name.replace('/', '-'), 'w') as log:
                running[name] = subprocess.Popen([sys.executable, __file__, '--cells', p], env=env, cwd=p.parent, stdout=log,
                                                 stderr=subprocess.STDOUT)
        waiting = dict(running)
        while waiting:
            for name, process in list(waiting.items()):
                code = process.poll()
                if code is None and time.time() < deadline: continue
                process.kill()   # of no effect on one that has ended
                done[name] = None if code is None else code == 0
                say('test', name, {True: 'passed', False: 'FAILED', None: 'out of time'}[done[name]])
                del waiting[name]
            time.sleep(.2)
        (out/'tests.log').write_text('\n'.join(f'==== {n}\n{(Path(logs)/n.replace("/", "-")).read_text()}' for n in running))
    return done

def kernels(env):
    "Do the kernels for a GPU work? Why not goes to the output"
    ask = ('import torch; from mcrm_nb.kernels.gpu import available; ok = torch.cuda.is_available(); '
           'print("no GPU that torch can use" if not ok else ""); raise SystemExit(not (ok and available()))')
    return not subprocess.run([sys.executable, '-c', ask], env=env, cwd=root).returncode

@contextlib.contextmanager
def shared_gpu(env, jobs):
    "Let several processes use the GPU at the same time and not by turns, where NVIDIA's MPS is at hand; the environment for them"
    if jobs < 2 or not shutil.which('nvidia-cuda-mps-control'):
        if jobs > 1: say('no MPS here: the processes take turns on the GPU')
        yield env
        return
    with tempfile.TemporaryDirectory() as at:
        env = env | dict(CUDA_MPS_PIPE_DIRECTORY=at, CUDA_MPS_LOG_DIRECTORY=at)
        def control(*args, **kw):
            "Whether the daemon took a command; what it fails in must not keep the records from being packed"
            try: return subprocess.run(['nvidia-cuda-mps-control', *args], env=env, timeout=20, **kw).returncode == 0
            except (OSError, subprocess.TimeoutExpired): return False
        started = control('-d')
        say('MPS', 'started' if started else 'does not start: the processes take turns')
        try: yield env if started else {k: v for k,v in env.items() if not k.startswith('CUDA_MPS')}
        finally:
            if started: control(input='quit', text=True)

def command(env, *args, timeout=None):
    "The project's command"
    return subprocess.run([sys.executable, '-c', 'from mcrm_nb.cli import main; main()', *map(str, args)], env=env, cwd=root,
                          timeout=timeout).returncode

def pack(runs, out):
    "Records in one archive; checkpoints of what is not finished, the small ones first, in another that is cut into parts"
    with zipfile.ZipFile(out/'records.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        for p in sorted(runs.glob('*.json')): z.write(p, p.name)
    room, left, whole = part_size*most_parts - 2**20, [], io.BytesIO()   # with a margin for the archive itself
    with zipfile.ZipFile(whole, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        for p in sorted(runs.glob('*.safetensors'), key=lambda p: p.stat().st_size):
            if p.with_suffix('.json').exists(): continue
            room -= p.stat().st_size
            if room < 0: left.append(p.name)
            else: z.write(p, p.name)
    for p in out.glob('state-*'): p.unlink()
    kept = whole.getvalue()
    for k in range(0, len(kept), part_size): (out/f'state-{k//part_size}').write_bytes(kept[k:k+part_size])
    if left: say('too large to be kept:', ', '.join(left))

def unpack(folders, runs):
    "Put back what earlier pieces left, the last piece last; their reports"
    reports = {}
    for f in map(Path, folders):
        if not (at := f/'report.json').exists():
            raise SystemExit(f'--resume {f}: expected the output of an earlier piece, with report.json')
        reports[f] = json.loads(at.read_text())
    for f in sorted(reports, key=lambda f: reports[f]['at']):
        state = b''.join(p.read_bytes() for p in sorted(f.glob('state-*')))
        for name,archive in ('records.zip', f/'records.zip'), ('state-*', io.BytesIO(state)):
            try:
                with zipfile.ZipFile(archive) as z: z.extractall(runs)
            except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as e:
                raise SystemExit(f'{f/name}: missing or a damaged archive ({e})')
    return list(reports.values())

def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('out', type=Path, nargs='?')
    a.add_argument('--cells', help=argparse.SUPPRESS)
    a.add_argument('--budget', type=float, default=540, help='seconds for everything')
    a.add_argument('--wheels', type=Path)
    a.add_argument('--data', type=Path, help='the folder with MNIST/ and ptb/')
    a.add_argument('--resume', type=Path, nargs='*', default=[], help='OUT of earlier pieces')
    a.add_argument('--work', type=Path, default=root/'.gpu', help='scratch')
    a.add_argument('--plan', default='paper')
    a.add_argument('--jobs', type=int, default=2, help='processes that share the GPU, at the same time where NVIDIA\'s MPS is at hand')
    a.add_argument('--together', type=int, help='seeds trained at once; default: 16 on a GPU')
    a.add_argument('--device', help='cuda, or cpu to try the chain without a GPU')
    a.add_argument('--commit', help='what the records say that the tree is, where it has no history')
    a.add_argument('--skip', nargs='*', default=[], choices=['tests', 'bench', 'queue'])
    o = a.parse_args()
    if o.cells: return cells(o.cells)
    if not o.out: a.error('expected OUT')
    deadline, runs = began+o.budget, (o.work/'runs').resolve()
    for p in o.out, runs: p.mkdir(parents=True, exist_ok=True)
    env = set_up(o.wheels, (o.work/'site').resolve())
    if o.data: env['MCRM_NB_DATA'] = str(o.data.resolve())
    if o.commit: env['MCRM_NB_COMMIT'] = o.commit
    device = ['--device', o.device or 'cuda']   # named, so that a process without the GPU fails and does not take the CPU
    say('set up')
    known = unpack(o.resume, runs)
    passed = {n for k in known for n,ok in k['tests'].items() if ok}
    report = dict(at=time.time(), kernels=o.device == 'cpu' or kernels(env), tests=dict.fromkeys(passed, True),
                  bench=0 if any(k['bench'] == 0 for k in known) else None, queue=None)
    if 'tests' not in o.skip: report['tests'] = tests(env, o.out, min(deadline-30, time.time()+longest['tests']), passed)
    if not report['kernels']:
        say('THE KERNELS DO NOT WORK: no benchmark and no runs, which the literal loop would take hours for')
        o.skip += ['bench', 'queue']
    if 'bench' not in o.skip and deadline-time.time() > 60 and report['bench'] != 0:
        to, most = o.work/'bench', min(longest['bench'], deadline-time.time()-20)
        try: report['bench'] = command(env, 'bench', '--max-seconds', 10, '--out', to.resolve(), *device, timeout=most)
        except subprocess.TimeoutExpired: report['bench'] = 'out of time'
        with zipfile.ZipFile(o.out/'bench.zip', 'w', zipfile.ZIP_DEFLATED) as z:
            for p in sorted(to.glob('*')): z.write(p, p.name)
        say('bench', report['bench'])
    left = deadline-time.time()-20   # to pack
    if 'queue' not in o.skip and left > 20:
        together = ['--together', o.together] if o.together else []
        sweep = 'sweep', o.plan, '--out', runs, '--jobs', o.jobs, '--budget', int(left)-5, *device, *together
        with shared_gpu(env, 1 if o.device == 'cpu' else o.jobs) as there:
            try: report['queue'] = command(there, *sweep, timeout=left+12)
            except subprocess.TimeoutExpired: report['queue'] = 'stopped hard'
        say('queue', report['queue'])
    pack(runs, o.out.resolve())
    (o.out/'report.json').write_text(json.dumps(report, indent=1)+'\n')
    say('records:', len(list(runs.glob('*.json'))))
    good = report['kernels'] and all(v is True for v in report['tests'].values())
    sys.exit(not good or report['bench'] not in (0, None) or report['queue'] not in (0, None))


began = time.time()
if __name__ == '__main__': main()
