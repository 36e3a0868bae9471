"""Build the wheel, install it elsewhere and use it there.

    python tools/wheel_check.py                  # an empty environment that borrows this one's packages
    python tools/wheel_check.py --python PATH    # that environment, with the newest of everything the wheel asks for"""
import argparse, os, re, shutil, subprocess, sys, sysconfig, tempfile, venv, zipfile
from importlib.util import find_spec
from pathlib import Path

from project import cfg, lib, root

clean = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV')}


def sh(*cmd, **kw):
    print('$', *(Path(o).name if Path(o).is_absolute() else o for o in map(str, cmd)), flush=True)
    subprocess.run([str(o) for o in cmd], check=True, env=clean, **kw)

def leave_out(folder, names):
    "What a build does not need; folders of the library may have any name"
    made = {'_proc', '_docs', 'build', 'dist', 'demo'} if Path(folder) == root else set()
    return {n for n in names if n in made or n[0] == '.' or n == '__pycache__' or n.endswith('.egg-info')}

def build(python, dest):
    "The wheel, from a copy of the tree: no `build/` of an earlier day gets into it, and the tree stays as it is"
    with tempfile.TemporaryDirectory() as d:
        tree = shutil.copytree(root, Path(d)/'tree', ignore=leave_out)
        # By way of the sdist where the tools are at hand, which shows that the sdist is complete
        if python == sys.executable and find_spec('build'):
            sh(python, '-m', 'build', '--no-isolation', '--outdir', dest, tree, stdout=subprocess.DEVNULL)
        else: sh(python, '-m', 'pip', 'wheel', '-q', '--no-deps', '-w', dest, tree)
    wheel, = dest.glob('*.whl')
    return wheel

def check_contents(wheel):
    "Every module and record of the tree is in the wheel, and nothing else is"
    inside = set(zipfile.ZipFile(wheel).namelist())
    skip = lambda p: '__pycache__' in p.parts or not p.is_file()
    tree = {p.relative_to(root).as_posix() for p in lib.rglob('*') if not skip(p) and (p.suffix == '.py' or p.name == 'py.typed' or {'records', 'plans', 'pages'} & set(p.parts))}
    extra = {o for o in inside if '.dist-info/' not in o} - tree
    assert not tree - inside, f'the wheel lacks {sorted(tree - inside)}'
    assert not extra, f'the wheel holds {sorted(extra)}'
    meta = zipfile.ZipFile(wheel).read(next(o for o in inside if o.endswith('METADATA'))).decode()
    needs = [l for l in meta.splitlines() if l.startswith('Requires-Dist') and 'extra ==' not in l]
    assert len(needs) == len(cfg['requirements'].split()) and not any('nbdev' in l or '<' in l.split(';')[0] for l in needs), needs
    relative = re.findall(r'\]\((?!https?://|#)[^)]*\)', meta)
    assert not relative, f'links of the description that lead nowhere on the package index: {relative}'
    print(f'{wheel.name}: {len(tree)} files of the package, {len(needs)} requirements')

def borrow(where):
    """An empty environment that sees this one's packages.

    A path in a .pth file does not run the .pth files found there, so an editable install stays out."""
    venv.create(where, with_pip=False, symlinks=os.name != 'nt')
    python = where/('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    site = subprocess.check_output([python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], text=True).strip()
    paths = dict.fromkeys(sysconfig.get_path(o) for o in ('purelib', 'platlib'))
    Path(site, 'borrowed.pth').write_text('\n'.join(paths) + '\n')
    return python

def main():
    ap = argparse.ArgumentParser(description='Build the wheel, install it elsewhere and use it there')
    ap.add_argument('--python', help='an environment to install into, with dependencies, the newest ones')
    ap.add_argument('--keep', help='a folder that gets what was built')
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        (d/'dist').mkdir()
        # Not resolved: following an environment's link to its base would leave the environment
        python = os.path.abspath(a.python) if a.python else sys.executable
        wheel = build(python, d/'dist')
        check_contents(wheel)
        if a.keep: shutil.copytree(d/'dist', a.keep, dirs_exist_ok=True)
        if a.python:
            sh(python, '-m', 'pip', 'uninstall', '-q', '-y', cfg['lib_name'])
            sh(python, '-m', 'pip', 'install', '-q', '--upgrade', '--upgrade-strategy', 'eager', wheel)
            sh(python, '-m', 'pip', 'check')
            show = 'print(*(f"{o} {v(o)}" for o in ("torch", "torchvision", "fastai", "fastcore")))'
            sh(python, '-c', f'from importlib.metadata import version as v; {show}')
            sh(python, '-c', 'from importlib.util import find_spec; assert not find_spec("nbdev"), "nbdev is installed here"')
        else:
            python = borrow(d/'venv')
            sh(sys.executable, '-m', 'pip', '--python', python, 'install', '-q', '--no-deps', '--no-index',
               '--disable-pip-version-check', wheel)
        (d/'away').mkdir()
        shutil.copy(root/'tools'/'wheel_quickstart.py', d/'away')
        sh(python, d/'away'/'wheel_quickstart.py', cwd=d/'away')

if __name__ == '__main__':
    try: main()
    except (AssertionError, subprocess.CalledProcessError) as e: sys.exit(f'wheel: {e}')
