"""Stage the notebooks for the site without Quarto and see that it went well: python tools/stage_docs.py

A file of its own: staging starts processes that import it again."""
import ast, os, re, sys

from project import directives, is_exported, nbs, notebooks, read, rel, root, src


def documented(nb):
    "Public functions and classes the notebook exports"
    for c in nb['cells']:
        if is_exported(c) and 'exporti' not in directives(c):
            yield from (o.name for o in ast.parse(src(c)).body if isinstance(o, (ast.FunctionDef, ast.ClassDef))
                        and o.name[0] != '_' and not any('patch' in ast.unparse(d) for d in o.decorator_list))

def check(path, staged):
    if not staged.exists(): return ['was not staged (does a folder above the project start with a dot?)']
    shown = {m[1]: c for c in read(staged)['cells'] if c['cell_type'] == 'code' and (m := re.search(r'^show_doc\((\w+)', src(c), re.M))}
    bad = [f'{n} is not on its page' for n in documented(read(path)) if n not in shown]
    rendered = lambda c: any('text/markdown' in o.get('data', {}) for o in c['outputs'])
    return bad + [f'show_doc({n}) gave nothing' for n, c in shown.items() if not rendered(c)]

def main():
    os.chdir(root)
    sys.path.insert(0, str(root))
    from nbdev.serve import proc_nbs
    staged = proc_nbs(force=True, n_workers=2)
    bad = [f'{rel(p)}: {o}' for p in notebooks() for o in check(p, staged/p.relative_to(nbs))]
    if (staged/'_quarto.yml').is_symlink() or not (staged/'_quarto.yml').exists(): bad.append('_quarto.yml was not staged')
    print('\n'.join(bad) or f'{len(notebooks())} notebooks staged in {staged.name}/')
    sys.exit(bool(bad))

if __name__ == '__main__': main()
