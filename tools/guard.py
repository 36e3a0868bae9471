"What `nbdev_test` lets through: one line per fault. Usage: python tools/guard.py"
import ast, re, subprocess, sys
from collections import Counter

import yaml

import names

from project import (cfg, directives, exporting, flags, is_exported, lib, nbs, notebooks, page, places, read, rel, room, rooms, root, split,
                     src, text, why_skipped)

ceiling = 25                  # lines of code in a cell
width = 120                   # characters in a line of code: more is cut on the page
may_lack_assertion = {'index'}
may_skip_exec = set()         # notebooks that nbdev_test is told not to run
nbdev_words = set('default_exp export exports exporti hide hide_line exec_doc filter_stream default_cls_lvl'.split())
our_words = {'varies'}        # read by outputs.py
quarto_words = set('''echo eval output warning error include label classes tags panel column fig-cap fig-alt fig-subcap fig-align
    fig-column fig-width fig-height tbl-cap tbl-colwidths lst-cap lst-label layout layout-ncol layout-nrow
    code-fold code-summary code-overflow code-line-numbers'''.split())
machine_path = re.compile(r'(?<![\w.:/~-])/(?:root|home|tmp|work|private|Users|var/folders)(?=[/\s"\'`,;)]|$)[^\s"\'`]*'
                          r'|site-packages/\S*|\bipykernel_\d+')
windows_path = re.compile(r'(?<![\w\\$])[A-Z]:\\{1,2}\w[^\s"\']*')
assertion = re.compile(r'\btest_\w+\(|\bassert\b|\.assert_\w+\(|\bcheck_\w+\(')


def tree(source):
    "The cell's syntax tree, shell lines and magics left out; None where that is no Python"
    try: return ast.parse(re.sub(r'^(\s*)[%!].*$', r'\1pass', source, flags=re.M))
    except SyntaxError: return None

def is_import(node):
    if isinstance(node, ast.Try): return all(map(is_import, node.body))
    return isinstance(node, (ast.Import, ast.ImportFrom))

def machine_paths(s, windows=True): return machine_path.findall(s) + (windows_path.findall(s) if windows else [])

def documentation(t):
    "Lines of a syntax tree that document rather than compute: signatures, decorators, docstrings and a class's fields"
    for o in ast.walk(t):
        body = o.body if isinstance(o, (ast.FunctionDef, ast.ClassDef)) else ()
        if not body: continue
        start = min(d.lineno for d in [o, *o.decorator_list])
        yield from range(start, o.lineno)
        if isinstance(o, ast.FunctionDef): yield from range(o.lineno+1, body[0].lineno)
        else: yield from (f.lineno for f in body if isinstance(f, ast.AnnAssign))
        if ast.get_docstring(o) is not None: yield from range(body[0].lineno+1, body[0].end_lineno+1)

def code_lines(source):
    "Number of lines of a cell that are neither empty nor documentation"
    source = split(source)[1]
    t = tree(source)
    told = set(documentation(t)) if t else ()
    return sum(bool(l.strip()) and k not in told for k,l in enumerate(source.splitlines(), 1))

def check_statements(source):
    "One statement per line, at most two names per assignment"
    t = tree(source)
    if t is None: return
    for o in ast.walk(t):
        for block in (getattr(o, k, ()) for k in ('body', 'orelse', 'finalbody')):
            if not isinstance(block, list): continue
            for a,b in zip(block, block[1:]):
                if a.end_lineno == b.lineno: yield f'two statements on line {b.lineno}'
        if isinstance(o, ast.Assign) and isinstance(o.value, ast.Tuple):
            if any(isinstance(x, ast.Tuple) and len(x.elts) > 2 for x in o.targets):
                yield f'an assignment of more than two values on line {o.lineno}'

def check_directives(cell):
    lead, rest = split(src(cell))
    known = nbdev_words | quarto_words | our_words | set(flags)
    for line in re.findall(r'^\s*#\s*\|\s*(.*)$', lead, re.M):
        word = re.match(r'[^\s:]*', line)[0]
        if word not in known: yield f'unknown directive {word!r}'
        elif word in quarto_words and not re.match(r'\S+: *\S', line): yield f'write `#| {word}: value`, not {line!r}'
        elif word not in quarto_words and re.match(r'\S+\s*:\s*\S', line): yield f'{word!r} takes no value: nbdev ignores {line!r}'
    if re.search(r'^\s*#\s*\|\s*\w', rest, re.M): yield 'directive below code or a comment is ignored'

def check_code(cell, has_docs):
    source = src(cell)
    yield from check_directives(cell)
    n = code_lines(source)
    if n > ceiling: yield f'{n} lines of code, more than {ceiling}'
    yield from check_statements(source)
    for l in split(source)[1].splitlines():
        if len(l) > width: yield f'a line of {len(l)} characters, more than {width}: {l.strip()[:40]}...'
    if is_exported(cell):
        try: ast.parse(source)
        except SyntaxError as e: yield f'exported, but not plain Python: {e.msg}'
    elif has_docs and not why_skipped(cell) and (t := tree(source)):
        # Staging the site runs every cell that holds an import, in a notebook that exports or shows docs
        if any(isinstance(o, (ast.Import, ast.ImportFrom)) for o in ast.walk(t)) and not all(map(is_import, t.body)):
            yield 'import mixed with other code: building the site would run it'

def parts(output):
    "The texts of an output, pictures left out"
    if 'text' in output: yield 'stream', text(output['text'])
    for kind, o in output.get('data', {}).items():
        if (kind.startswith('text') or 'svg' in kind) and isinstance(o, (str, list)): yield kind, text(o)

def check_outputs(cell):
    for o in cell.get('outputs', []):
        if o['output_type'] == 'error': yield f"stored traceback ({o.get('ename')})"
        for kind, s in parts(o):
            if 'Traceback (most recent call last)' in s: yield 'stored traceback in the text'
            if kind == 'stream' and '\r' in s or '<progress' in s: yield 'progress bar in the output: use `no_bar`'
            for m in machine_paths(s)[:1]: yield f'machine path in the output: {m}'
            if cut := re.search(r'\d+ rows × \d+ columns', s): yield f'pandas cut the table ({cut[0]}): show it in parts'

def check_first(cells):
    heads = [c for c in cells if c['cell_type'] == 'markdown']
    if not heads: return ['no markdown cell']
    s = src(heads[0])
    bad = [] if re.search(r'^#\s+\S', s, re.M) else ['the first markdown cell has no `# title`']
    if not re.search(r'^>\s+\S', s, re.M): bad.append('the first markdown cell has no `> question`')
    lost = [l for l in s.splitlines() if l.strip() and not re.match(r'#\s|>\s|-\s+\S.*:', l)]
    if lost: bad.append(f'text in the title cell never reaches the site, give it a cell of its own: {lost[0][:40]!r}')
    if sum(l.startswith('>') for l in s.splitlines()) > 1: bad.append('only the first `> ` line of the title cell reaches the site')
    return bad

def check_notebook(path, nb):
    cells = nb['cells']
    code = [c for c in cells if c['cell_type'] == 'code']
    has_docs = any(is_exported(c) or re.search(r'^show_doc', src(c), re.M) for c in code)
    yield from check_first(cells)
    front = '\n'.join(src(c) for c in cells[:2] if c['cell_type'] != 'code')
    if re.search(r'skip_exec:\s*true', front, re.I) and path.stem not in may_skip_exec: yield 'skip_exec: the notebook is not run'
    if nb['metadata'].get('kernelspec', {}).get('language', 'python') != 'python': yield 'not a Python notebook: not run'
    for name, n in Counter(c.get('id') for c in cells).items():
        if not name: yield f'{n} cells without id: export would not be reproducible'
        elif n > 1: yield f'{n} cells share the id {name}'
    if code and path.stem not in may_lack_assertion and not any(assertion.search(src(c)) for c in code): yield 'no assertion'
    if cells and is_exported(cells[-1]): yield 'ends with an exported cell, on which the staging of the site fails: let a test follow'
    plain = [c for c in code if not is_exported(c) and not {'default_exp', 'hide'} & directives(c).keys() and not why_skipped(c)]
    if plain and not any(c.get('outputs') for c in code): yield f'no stored output: make render NB={rel(path)} (or let it show something)'
    for i, c in enumerate(cells):
        at = f"cell {i} {c.get('id')}: "
        s = src(c)
        if re.search(r'^`?(<{7} |={7}$|>{7} |\|{7} )', s, re.M): yield at + 'merge marker'
        for m in machine_paths(s, c['cell_type'] == 'code')[:1]: yield at + f'machine path: {m}'
        if c['cell_type'] == 'code': yield from (at + o for o in (*check_code(c, has_docs), *check_outputs(c)))

def check_modules(books):
    "Each module has one notebook, each page one notebook, and each .py file a notebook"
    made, pages, into = Counter(), Counter(), set()
    for p, nb in books.items():
        pages[page(p)] += 1
        for c in nb['cells']:
            d = directives(c)
            if d.get('default_exp'): made[d['default_exp']] += 1
            into |= {d[o] for o in exporting & d.keys() if d[o]}
    yield from (f'{n} notebooks make the module {m}' for m, n in made.items() if n > 1)
    yield from (f'{n} notebooks make the page {p}.html' for p, n in pages.items() if n > 1)
    numbers = Counter((room(p), p.stem[:2]) for p in books if p.stem[:2].isdigit())
    yield from (f'{n} notebooks of {nbs.name}/{r} have the number {k}' for (r, k), n in numbers.items() if n > 1)
    yield from (f'{rel(p)}: a page needs a number of two digits' for p in books if p.stem != 'index' and not re.match(r'\d\d_', p.stem))
    yield from (f'a cell exports to {m}, which no notebook makes' for m in into - set(made))
    files = {lib.joinpath(*m.split('.')).with_suffix('.py') for m in made}
    yield from (f'{rel(f)} is missing: run nbdev_export' for f in sorted(files) if not f.exists())
    homes = {d for f in files for d in (f.parent, *f.parent.parents)}
    for f in sorted(lib.rglob('*.py')):
        if f in files or f.name == '_modidx.py' and f.parent == lib or f.name == '__init__.py' and f.parent in homes: continue
        yield f'{rel(f)}: no notebook makes this'

# The same functions for other memories and in other languages, under the same names
engines = {'kernels.backward', 'kernels.cpu', 'kernels.gpu', 'kernels.clusters', 'kernels.dam', 'kernels.rsm'}

# What a module may look up by name in a later room when it is needed, without importing it: a layer finds its fast loops
# in the kernels, and RSM the model that trains it on streams
looked_up = {('layers.backends', 'kernels'), ('layers.dam', 'kernels'), ('layers.rsm', 'kernels'), ('layers.conv_rsm', 'kernels'),
             ('layers.rsm', 'tasks')}

def modules():
    "Module -> its syntax tree"
    files = [p for p in sorted(lib.rglob('*.py')) if p.name != '_modidx.py']
    return {'.'.join(p.relative_to(lib).with_suffix('').parts): ast.parse(p.read_text(encoding='utf-8')) for p in files}

def imports_of(name, nodes, known):
    "The modules of the library that import statements name"
    home = name.split('.')[:-1]
    for n in nodes:
        if isinstance(n, ast.Import): found = [a.name.split('.')[1:] for a in n.names if a.name.startswith(f'{lib.name}.')]
        elif isinstance(n, ast.ImportFrom):
            parts = (n.module or '').split('.') if n.module else []
            if n.level: base = home[:len(home)-n.level+1] + parts
            elif parts[:1] == [lib.name]: base = parts[1:]
            else: continue
            found = [base, *([*base, a.name] for a in n.names)]
        else: continue
        yield from (o for f in found if (o := '.'.join(f)) in known and o != name)

def named_in(nodes, known):
    "The modules of the library that texts name, such as 'mcrm_nb.kernels.cpu:loops'"
    for n in nodes:
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and re.fullmatch(rf'{lib.name}(\.\w+)+(:\w+)?', n.value):
            if (o := n.value.split(':')[0].partition('.')[2]) in known: yield o

def rank(module):
    "The place of a module in the order of the rooms"
    if module in ('cli', '__init__', '__main__'): return len(rooms)
    return rooms.index(module.split('.')[0]) if '.' in module else 0

def circle(graph):
    "Modules that import each other in a ring, or None"
    done, path = set(), []
    def visit(m):
        if m in path: return path[path.index(m):] + [m]
        if m in done: return None
        path.append(m)
        ring = next((r for o in sorted(graph[m]) if (r := visit(o))), None)
        path.pop()
        done.add(m)
        return ring
    return next((r for m in sorted(graph) if (r := visit(m))), None)

def check_house():
    "Imports run one way, without circles, and no name is public in two modules"
    trees = modules()
    for m, t in trees.items():
        if m == '__init__': continue  # the package shows names of every room
        for o in sorted(set(imports_of(m, ast.walk(t), trees))):
            if rank(o) > rank(m): yield f'{m} imports {o}, which stands above it: the order is {", ".join(rooms[1:-1])}, cli'
        for o in sorted(set(named_in(ast.walk(t), trees))):
            if rank(o) > rank(m) and (m, o.split('.')[0]) not in looked_up: yield f'{m} looks up {o}, which stands above it'
    ring = circle({m: {*imports_of(m, ast.walk(t), trees)} for m, t in trees.items()})
    if ring: yield 'modules import each other in a circle: ' + ' -> '.join(ring)
    public = {}
    for m, t in trees.items():
        for n in t.body:
            if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == '__all__' and m != '__init__':
                for name in ast.literal_eval(n.value): public.setdefault(name, []).append(m)
    yield from (f'{name} is public in {" and ".join(ms)}' for name, ms in public.items() if len(ms) > 1 and not set(ms) <= engines)

def check_unseen():
    "What nbdev passes over without a word"
    for p in sorted(nbs.rglob('*')):
        if '.ipynb_checkpoints' in p.parts: continue
        if p.name == '.notest': yield f'{rel(p)}: keeps its folder from being tested'
        if p.suffix == '.ipynb' and p not in notebooks(): yield f'{rel(p)}: nbdev does not see names with a leading _ or .'
    if '|' in cfg['tst_flags']: yield 'settings.ini: separate tst_flags by spaces; bars make one flag that no cell has'

def leaves(o):
    "The notebook names in a sidebar"
    if isinstance(o, str): return [o]
    if isinstance(o, dict): return leaves(o.get('contents') or o.get('href') or [])
    return [n for x in o for n in leaves(x)]

def check_site():
    top, link = root/'_quarto.yml', nbs/'_quarto.yml'
    if link.is_symlink():
        if link.readlink().as_posix() != '../_quarto.yml': yield 'nbs/_quarto.yml must point to ../_quarto.yml'
    elif not link.exists() or link.read_bytes() != top.read_bytes():
        yield 'nbs/_quarto.yml must be a link to (or a copy of) ../_quarto.yml'
    conf = yaml.safe_load(top.read_text(encoding='utf-8'))
    site = conf['website']
    want = {'title': cfg['title'], 'description': cfg['description'], 'repo-url': cfg['git_url'], 'repo-branch': cfg['branch'],
            'site-url': cfg['doc_host'] + cfg['doc_baseurl'], 'issue-url': cfg['git_url'] + '/issues/new'}
    yield from (f'_quarto.yml says {k}: {site.get(k)!r}, settings.ini {v!r}' for k, v in want.items() if site.get(k) != v)
    if conf['project']['output-dir'] != cfg['doc_path']: yield '_quarto.yml: output-dir is not doc_path of settings.ini'
    listed, there = Counter(leaves(site['sidebar'])), {p.relative_to(nbs).as_posix() for p in notebooks()}
    yield from (f'_quarto.yml: the sidebar names {o} {n} times' for o, n in listed.items() if n > 1)
    yield from (f'_quarto.yml: the sidebar names {o}, which does not exist' for o in sorted(set(listed) - there))
    yield from (f'_quarto.yml: the sidebar lacks {o}' for o in sorted(there - set(listed)))

def headings(nb): return {*places(src(c) for c in nb['cells'] if c['cell_type'] == 'markdown')}

def check_links(books):
    "Links between the notebooks, and figures described for those who cannot see them"
    for p, nb in books.items():
        for i, c in enumerate(nb['cells']):
            at = f"{rel(p)}: cell {i} {c.get('id')}: "
            if c['cell_type'] == 'code' and 'fig-alt:' not in directives(c) and 'hide' not in directives(c):
                if any('image/png' in o.get('data', {}) for o in c.get('outputs', [])): yield at + 'a picture without `#| fig-alt: "..."`'
            if c['cell_type'] == 'code' and 'fig-alt:' in directives(c) and not any('image/png' in o.get('data', {}) for o in c['outputs']) \
                    and not re.search('nothing on record|no runs that are not', ''.join(text(o.get('text')) for o in c['outputs'])):
                yield at + 'a described figure, but no picture is stored: render the notebook'
            if c['cell_type'] != 'markdown': continue
            for name in re.findall(r'\[`?(\d\d(?:_\w+)?|[\w/]+\.ipynb)`?\]\(', src(c)): yield at + f'name the page by its title, not {name}'
            for link in re.findall(r'\]\(<?([^)>\s]+)', re.sub(r'`[^`]*`', '', src(c))):
                if re.match(r'\w+:', link): continue
                to, _, place = link.partition('#')
                if to and not (p.parent/to).resolve().is_relative_to(nbs.resolve()): yield at + f'{to} is not on the site'
                elif to and not (p.parent/to).exists(): yield at + f'links {to}, which does not exist'
                elif place and place not in headings(books.get((p.parent/to).resolve(), nb) if to else nb): yield at + f'links #{place}: no such heading'

def check_papers():
    "Links of the pages in markdown, and the version where it is written by hand"
    for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'):
        if not (root/name).exists():
            yield f'{name} is missing'
            continue
        s = re.sub(r'^```.*?^```', '', (root/name).read_text(encoding='utf-8'), flags=re.M | re.S)
        links = re.findall(r'\]\(<?([^)>\s]+)', s) + re.findall(r'(?:src|href)="([^"]+)"', s)
        for l in sorted(set(links)):
            if re.match(r'https?:|mailto:|#', l) or (root/l.split('#')[0]).exists(): continue
            yield f'{name} links {l}, which does not exist'
    v = cfg['version']
    cite = yaml.safe_load((root/'CITATION.cff').read_text(encoding='utf-8'))
    if str(cite['version']) != v: yield f"CITATION.cff says version {cite['version']}, settings.ini {v}"
    if f'## {v}' not in (root/'CHANGELOG.md').read_text(encoding='utf-8'): yield f'CHANGELOG.md has no heading for {v}'

def check_lint():
    "What ruff finds in the library and the tools, by the rules in pyproject.toml; undefined names in the notebooks, too"
    for what in ([lib, root/'tools'], [nbs, '--select', 'F821']):
        command = [sys.executable, '-m', 'ruff', 'check', '--output-format', 'concise', '--quiet', *what]
        r = subprocess.run(command, capture_output=True, text=True, cwd=root)
        yield from r.stdout.splitlines() if r.returncode in (0, 1) else [f'ruff failed: {r.stderr.strip()}']

# Pages whose stored outputs show every memory of the registry, and by which name
shows_memories = {'layers/10_registry': 'key', 'tool/00_command_line': 'key', 'tool/01_package': 'class'}

def check_tables(books):
    "Stored tables that show every memory or every page are those of today"
    every = list(names.entries())
    for name, kind in shows_memories.items():
        p = nbs/f'{name}.ipynb'
        stored = '\n'.join(s for c in books[p]['cells'] if c['cell_type'] == 'code' for o in c['outputs'] for _, s in parts(o))
        want = [key if kind == 'key' else cls for key, module, cls in every if kind == 'key' or module.startswith(f'{lib.name}.')]
        lacks = [o for o in dict.fromkeys(want) if not re.search(rf'(?<!\w){o}(?!\w)', stored)]
        if lacks: yield f'{rel(p)}: its stored table lacks {", ".join(lacks)}: make render NB={rel(p)}'
    index = nbs/'index.ipynb'
    stored = '\n'.join(s for c in books[index]['cells'] if c['cell_type'] == 'code' for o in c['outputs'] for _, s in parts(o))
    for p in books:
        first = src(books[p]['cells'][0])
        row = re.search(r'^# (.+)', first, re.M), re.search(r'^> (.+)', first, re.M)
        if p == index or not all(row): continue
        want = f'[{row[0][1]}]({p.relative_to(nbs).as_posix()}) | {row[1][1]} |'
        if want not in stored: yield f'{rel(index)}: its stored table of pages lacks {rel(p)}, or has another title or question: make render NB={rel(index)}'
    for name in re.findall(r'^\|[^|]*\| \[[^]]*\]\(([\w/]+\.ipynb)\)', stored, re.M):
        if nbs/name not in books: yield f'{rel(index)}: its stored table of pages shows {name}, which does not exist: make render NB={rel(index)}'

def summary(books):
    code = [c for nb in books.values() for c in nb['cells'] if c['cell_type'] == 'code']
    skipped = Counter(' + '.join(w) for c in code if (w := why_skipped(c)))
    why = ', '.join(f'{n} {k}' for k, n in skipped.most_common()) or 'none'
    return f'{len(books)} notebooks, {len(code)} code cells; not run by default: {why}'

def faults():
    books = {}
    for p in notebooks():
        try: books[p] = read(p)
        except ValueError as e: yield f'{rel(p)}: not a notebook ({e})'
    if not books: yield f'{rel(nbs)}: no notebooks'
    for p, nb in books.items(): yield from (f'{rel(p)}: {o}' for o in check_notebook(p, nb))
    for check in (lambda: check_modules(books), lambda: check_links(books), lambda: check_tables(books), names.faults, check_house, check_unseen, check_site, check_papers,
                  check_lint):
        yield from check()
    print(summary(books))

def main():
    bad = list(faults())
    print('\n'.join(bad) or 'no faults')
    sys.exit(bool(bad))

if __name__ == '__main__': main()
