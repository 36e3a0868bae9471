"""Stage the notebooks for the site and see that it went well: python tools/stage_docs.py [--render]

Staging needs no Quarto; `--render` then makes the site with it, in _docs/. A file of its own: staging starts processes that
import it again."""
import argparse, ast, json, os, re, shutil, subprocess, sys
from html.parser import HTMLParser
from urllib.parse import unquote

from pages import faults, finish, loaded, shown, strip_scripts
from project import cfg, directives, is_exported, nbs, notebooks, page, read, rel, root, src


def documented(nb):
    "Public functions and classes the notebook exports"
    for c in nb['cells']:
        if is_exported(c) and 'exporti' not in directives(c):
            yield from (o.name for o in ast.parse(src(c)).body if isinstance(o, (ast.FunctionDef, ast.ClassDef))
                        and o.name[0] != '_' and not any('patch' in ast.unparse(d) for d in o.decorator_list))

def check(path, staged):
    if not staged.exists(): return ['was not staged (does a folder above the project start with a dot?)']
    described = {n: c for c in read(staged)['cells'] if (n := shown(c))}
    bad = [f'{n} is not on its page' for n in documented(read(path)) if n not in described]
    rendered = lambda c: any('text/markdown' in o.get('data', {}) for o in c['outputs'])
    return bad + [f'show_doc({n}) gave nothing' for n, c in described.items() if not rendered(c)]

class Links(HTMLParser):
    "What a page names and what it links on the site itself"
    def __init__(self, html):
        super().__init__()
        self.ids, self.links = {'', 'top'}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {a.get('id'), a.get('name')}
        self.links += [o for o in (a.get('href'), a.get('src')) if o and not re.match(r'[\w+.-]+:|//', o)]

def broken(site):
    "Links to a page, a place on it or a picture that is not there"
    pages = {p: Links(p.read_text(encoding='utf-8')) for p in sorted(site.rglob('*.html'))}
    for p, made in pages.items():
        for link in sorted(set(made.links)):
            to, _, place = unquote(link).partition('#')
            to = (p.parent/to.split('?')[0]).resolve() if to else p
            if not to.exists(): yield f'{p.name}: {link} is not there'
            elif to in pages and place not in pages[to].ids: yield f'{p.name}: {link}: there is no such place on the page'

def lost(staged):
    "Links of the explorer to pages that will not be there"
    there = {page(p).removeprefix('./') + '.html' for p in notebooks()}
    for link in Links((staged/'explorer.html').read_text(encoding='utf-8')).links:
        if link.removeprefix('./').split('#')[0] not in there and not (staged/link).exists(): yield f'{link} is not there'

def site_files(staged):
    "What belongs to the site beside its pages: explorer, picture for links from elsewhere, version and date"
    import matplotlib
    matplotlib.use('agg')
    import matplotlib.pyplot as plt
    from mcrm_nb.analysis.inside import explorer_page
    from mcrm_nb.figures import draw_mcrm, style
    explorer_page(staged/'explorer.html')
    style()
    fig, ax = plt.subplots(figsize=(6, 3.15))
    draw_mcrm(ax)
    fig.suptitle('mcrm_nb: recurrent memory you can read, run and check', fontsize=11)
    fig.savefig(staged/'card.png', dpi=200)
    when = subprocess.run(['git', 'log', '-1', '--format=%cs'], cwd=root, capture_output=True, text=True).stdout.strip()
    config = staged/'_quarto.yml'
    config.write_text(config.read_text(encoding='utf-8').replace('VERSION', cfg['version'] + f', {when}' * bool(when)), encoding='utf-8')

def render(staged):
    site, made = root/cfg['doc_path'], staged/cfg['doc_path']
    p = subprocess.run(['quarto', 'render', '--no-cache'], cwd=staged, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(p.stdout)
    if p.returncode: sys.exit(p.returncode)
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(made, site)
    for o in notebooks():
        at = site/'downloads'/o.relative_to(nbs)
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(o, at)
    bad = [f'Quarto: {o}' for o in p.stdout.splitlines() if 'WARN' in o]
    for o in sorted(site.rglob('*.html')):
        o.write_text(t := strip_scripts(o.read_text(encoding='utf-8')), encoding='utf-8')
        bad += [f'{o.name}: loads {link}' for link in loaded(t)]
    return bad + list(broken(site))

def main():
    ap = argparse.ArgumentParser(description='Stage the notebooks for the site')
    ap.add_argument('--render', action='store_true', help='then render the site with Quarto and check its links')
    a = ap.parse_args()
    os.chdir(root)
    sys.path.insert(0, str(root))
    from nbdev.serve import proc_nbs
    staged = proc_nbs(force=True, n_workers=2)
    at = {p: staged/p.relative_to(nbs) for p in notebooks()}
    bad = [f'{rel(p)}: {o}' for p in at for o in check(p, at[p])]
    if (staged/'_quarto.yml').is_symlink() or not (staged/'_quarto.yml').exists(): bad.append('_quarto.yml was not staged')
    if not bad:
        books = [(p, read(p), read(at[p])) for p in at]
        finish(books)
        bad = [f'{rel(p)}: {o}' for p, _, made in books for o in faults(made)]
        for p, _, made in books: at[p].write_text(json.dumps(made, indent=1, ensure_ascii=False), encoding='utf-8')
        site_files(staged)
        bad += [f'explorer.html: {o}' for o in lost(staged)]
        if a.render and not bad: bad = render(staged)
    print('\n'.join(bad) or f'{len(at)} notebooks staged in {staged.name}/' + (f", the site is {cfg['doc_path']}/index.html" if a.render else ''))
    sys.exit(bool(bad))

if __name__ == '__main__': main()
