"Cleaning and exporting must change no file: python tools/check_step.py"
import os, subprocess, sys
from pathlib import Path

from project import lib, nbs, rel, root


def snapshot():
    ps = [p for d in (nbs, lib) if d.exists() for p in d.rglob('*') if p.suffix in ('.ipynb', '.py', '.yml')]
    ps += [root/o for o in ('settings.ini', 'pyproject.toml', '_quarto.yml')]
    return {p: p.read_bytes() for p in ps if p.is_file() and '.ipynb_checkpoints' not in p.parts}

def main():
    os.chdir(root)
    before, bad = snapshot(), []
    for cmd in ('nbdev_clean', 'nbdev_export'):
        r = subprocess.run([Path(sys.executable).parent/cmd], capture_output=True, text=True)
        # nbdev_clean reports a failure as a warning and exits with 0
        if r.returncode or 'Failed to clean' in r.stderr: bad.append(f'{cmd} failed:\n{r.stderr[-2000:]}')
        after = snapshot()
        bad += [f'{cmd} changed {rel(p)}' for p in sorted(before.keys() | after.keys()) if before.get(p) != after.get(p)]
        before = after
    print('\n'.join(bad) or 'clean and export change nothing')
    if bad: print('Look at the changes; they are in the working tree now, ready to commit.')
    sys.exit(bool(bad))

if __name__ == '__main__': main()
