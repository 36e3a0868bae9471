"""The names that editors and type checkers see at the top of the package, from the registry: python tools/names.py [--write]

`make export` writes them into nbs/tool/01_package.ipynb; the guard compares them."""
import argparse, ast, json, sys

from project import lib, nbs, read, rel, src

page = nbs/'tool'/'01_package.ipynb'


def entries():
    "(key, module, class) of every memory of the registry, in its order"
    tree = ast.parse((lib/'layers'/'registry.py').read_text(encoding='utf-8'))
    for n in ast.walk(tree):
        if isinstance(n, ast.Call) and ast.unparse(n.func) == 'memories.add':
            key, _, path = (o.value for o in n.args[:3])
            yield key, *path.split(':')

def block():
    "The source of the cell"
    homes = {f'{lib.name}.layers.conv_rsm': {'ConvRSM': 1}}   # the one layer that has no key in the registry
    for _, module, cls in entries():
        if module.startswith(f'{lib.name}.'): homes.setdefault(module, {}).update({cls: 1, f'{cls}Cell': 1})
    lines = [f'    from {module} import {", ".join(names)}' for module, names in sorted(homes.items())]
    return '\n'.join(['#| exports', 'if TYPE_CHECKING:', *lines])

def cell(nb):
    "The cell that holds the names"
    return next(c for c in nb['cells'] if c['cell_type'] == 'code' and '\nif TYPE_CHECKING:\n' in src(c))

def faults():
    if src(cell(read(page))).rstrip() != block(): yield f'{rel(page)}: the names for type checkers are not those of the registry: make export'

def main():
    ap = argparse.ArgumentParser(description='Names at the top of the package, from the registry')
    ap.add_argument('--write', action='store_true', help='write them into the notebook')
    bad = list(faults())
    if not ap.parse_args().write:
        print('\n'.join(bad) or 'names as in the registry')
        sys.exit(bool(bad))
    if not bad: return
    nb = read(page)
    cell(nb)['source'] = block().splitlines(True)
    page.write_text(json.dumps(nb, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    print(f'{rel(page)} written')

if __name__ == '__main__': main()
