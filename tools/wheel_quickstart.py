"""What a user does first. tools/wheel_check.py runs this file away from the tree, with the built wheel installed.

Every function named `check_...` is run, in order; a new claim about the installed package is a new function."""
import os, subprocess, sys, tempfile, time
from pathlib import Path

scripts = Path(sys.executable).parent


def python(code): return subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.PIPE, text=True).stdout.split()

def check_installed():
    import mcrm_nb
    from importlib.metadata import version
    assert Path(mcrm_nb.__file__).resolve().is_relative_to(Path(sys.prefix).resolve()), f'not the wheel: {mcrm_nb.__file__}'
    assert mcrm_nb.__version__ == version('mcrm_nb'), (mcrm_nb.__version__, version('mcrm_nb'))

def check_light_import():
    heavy = python('import sys, mcrm_nb; print(*({"torch", "fastai", "matplotlib", "pandas"} & sys.modules.keys()))')
    assert not heavy, f'`import mcrm_nb` imports {heavy}'

def check_every_module():
    "Each module imports without nbdev, IPython's kernel or a working folder"
    import importlib, pkgutil, mcrm_nb
    names = [o.name for o in pkgutil.walk_packages(mcrm_nb.__path__, 'mcrm_nb.')]
    for n in names: importlib.import_module(n)
    assert 'nbdev' not in sys.modules, 'the library imports nbdev'
    print(f'  {len(names)} modules')

def check_help():
    "How long it takes is said, not asserted: a busy machine must not decide. What makes it quick is checked above"
    def once():
        start = time.perf_counter()
        out = subprocess.run([scripts/'mcrm_nb', '--help'], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert 'Usage' in out, out
        return time.perf_counter() - start
    print(f'  {min(once() for _ in range(3)):.2f} s')

def check_quick_start():
    import torch
    from mcrm_nb import MCRM
    rnn = MCRM(10, 20, num_layers=2, batch_first=True)
    output, (h_n, c_n) = rnn(torch.randn(5, 3, 10))
    assert output.shape == (5, 3, 20) and h_n.shape == c_n.shape == (2, 5, 20)

def check_plans_and_tables():
    "Plans and records are in the wheel: what the command prints comes from them alone"
    def mcrm_nb(*args): return subprocess.run([scripts/'mcrm_nb', *args], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert mcrm_nb('estimate', 'quick', '--list').count('-s1-') == 25
    lines = mcrm_nb('table', '--format', 'csv', '--scale', 'quick').splitlines()
    assert lines[0].startswith('experiment,scores,memory,score,half_interval') and any(l.startswith('Adding problem,"fair, quick"') for l in lines), lines

def check_learning():
    "Sums of short sequences, in plain torch: the layer is trainable as it comes out of the wheel"
    import torch
    from mcrm_nb import MCRM
    torch.manual_seed(0)
    rnn, head = MCRM(1, 8, batch_first=True), torch.nn.Linear(8, 1)
    x = torch.rand(64, 5, 1)
    opt = torch.optim.Adam([*rnn.parameters(), *head.parameters()], 1e-2)
    losses = []
    for _ in range(60):
        loss = (head(rnn(x)[0][:, -1]) - x.sum(1)).pow(2).mean()
        opt.zero_grad(); loss.backward(); opt.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]/10, losses[::10]

def check_training():
    "Task, registry, fastai Learner: the whole chain, and it learns"
    from mcrm_nb.tasks.adding import adding
    from mcrm_nb.training.learner import fit
    task = adding(seq_len=6, n_train=6000, n_valid=200, n_test=200)
    learn = fit(task, 'mcrm', epochs=6, n_params=1500, lr=1e-2, clip=1., bs=50, device='cpu')
    print(learn.curve.table()[['epoch', 'train_loss', 'valid_loss']].round(4).to_string(index=False))
    assert learn.curve.rows[-1]['valid_loss'] < task.baseline/2

def check_demo():
    "The command, small: it ends well and leaves its records and its figure"
    with tempfile.TemporaryDirectory() as d:
        small = '--seq-len 5 --n-train 500 --epochs 1 --n-params 500 --memory gru --memory nested_lstm --jobs 1'.split()
        subprocess.run([scripts/'mcrm_nb', 'demo', *small, '--out', f'{d}/demo'], check=True)
        assert sorted(p.suffix for p in Path(d, 'demo').iterdir()) == ['.json', '.json', '.png', '.svg']

def check_as_a_module():
    assert python('import runpy, sys; sys.argv[1:] = ["--version"]; runpy.run_module("mcrm_nb", run_name="__main__")')[0] == 'mcrm_nb'

def main():
    checks = [o for n, o in globals().items() if n.startswith('check_')]
    for f in checks:
        start = time.perf_counter()
        print(f.__name__, flush=True)
        f()
        print(f'  passed in {time.perf_counter()-start:.1f} s', flush=True)
    print(f'{len(checks)} checks of the installed wheel passed')

if __name__ == '__main__':
    os.environ['MPLBACKEND'] = 'agg'
    main()
