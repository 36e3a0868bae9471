"""Every default that gives a recorded run its meaning, compared with tools/defaults.json: python tools/defaults.py [--write]

A run's name is made from what differs from the defaults. A changed default would therefore give the names of recorded runs another
meaning without a word. A new setting may join (`--write`); a default that has records must not change."""
import argparse, json, sys
from dataclasses import fields
from inspect import signature

from project import root

golden = root/'tools'/'defaults.json'


def plain(v): return v if isinstance(v, (int, float, str, bool, type(None))) else repr(v)

def defaults():
    from mcrm_nb.layers.registry import memories
    from mcrm_nb.runs.spec import RunSpec
    from mcrm_nb.tasks.registry import task_maker, tasks
    task = lambda name: {k: plain(p.default) for k, p in signature(task_maker(name)).parameters.items()}
    options = lambda m: {**getattr(m.layer, 'options', {}), **m.options}
    return {'RunSpec': {f.name: plain(f.default) for f in fields(RunSpec) if 'MISSING' not in repr(f.default)},
            **{f'task {name}': task(name) for name in tasks},
            **{f'memory {name}': {k: plain(v) for k, v in options(m).items()} for name, m in memories.items()}}

def main():
    ap = argparse.ArgumentParser(description='Compare defaults with the recorded ones')
    ap.add_argument('--write', action='store_true', help='record the defaults of today')
    now = defaults()
    if ap.parse_args().write: return golden.write_text(json.dumps(now, indent=1) + '\n', encoding='utf-8')
    was = json.loads(golden.read_text(encoding='utf-8'))
    bad = [f'{what}: {k} was {was[what][k]!r} and is {now.get(what, {}).get(k, "gone")!r}: runs on record would change their meaning'
           for what in was for k in was[what] if now.get(what, {}).get(k, 'gone') != was[what][k]]
    new = [f'{what}: {k} is not in tools/defaults.json: python tools/defaults.py --write'
           for what in now for k in now[what] if k not in was.get(what, {})]
    new += [f'{what} is not in tools/defaults.json: python tools/defaults.py --write' for what in now if what not in was]
    print('\n'.join(bad + new) or f'{sum(map(len, now.values()))} defaults as recorded')
    sys.exit(bool(bad + new))

if __name__ == '__main__': main()
