"""Make records of runs that were given up: each becomes a run of as many epochs as its checkpoint has.

    python tools/shorten.py PLAN FOLDER OUT     # a plan with the runs, their checkpoints, a folder for the records"""
import sys
from pathlib import Path

from project import root

sys.path.insert(0, str(root))
from mcrm_nb.runs.run import run, shortened
from mcrm_nb.studies.plans import read_plan

def main():
    plan, folder, out = sys.argv[1:]
    for spec in read_plan(plan).specs:
        if not (Path(folder)/f'{spec.name}.safetensors').exists(): continue
        short = shortened(spec, folder, out)
        r = run(short, out, device='cpu')
        print(f'{spec.name}: {short.epochs} of {spec.epochs} epochs, {r["status"]}, now {short.name}', flush=True)

if __name__ == '__main__': main()
