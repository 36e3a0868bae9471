"""What a staged page gets beyond what nbdev makes of its notebook: signatures as in the source, the help of commands, links
that stay on the site. And what must not be left on it."""
import ast, html, os, posixpath, re, subprocess, sys

from project import cfg, is_exported, nbs, page, places, rel, room, root, src, text

site = cfg['doc_host'].rstrip('/') + cfg['doc_baseurl'].rstrip('/')
site_link = re.compile(rf'\[([^\]\n]*)\]\({re.escape(site)}/?([^)#\s]*)#?([^)\s]*)\)')
fence = re.compile(r'```python\n(.*?)```', re.S)
# What nbdev shows of NamedTuples, dataclasses, exceptions and wrapped functions
opaque = re.compile(r'\*args(:P\.args)?, \*\*kwargs|=<(factory|function)|\b\w+=\w+\(\w+=(functools|<)')
answering = 'studies', 'analysis', 'tool'
# Words in backticks that mean something else on that page than the library's function of this name
other_meaning = {('05_torch_private', 'backward()'), ('05_torch_private', 'scan'), ('03_deploying', 'scan'), ('02_gpu', 'size'),
                 ('11_backends', 'cpu'), ('11_backends', 'reference'), ('12_pixel_mnist', 'pool'), ('41_repr_recall', 'segments')}

def fields(node, lines):
    "The lines of a class's fields, with their comments"
    found = [o for o in node.body if isinstance(o, ast.AnnAssign)]
    return lines[found[0].lineno-1:found[-1].end_lineno] if found else []

def head(node, lines):
    "The lines of a definition before its body"
    first = node.body[0]
    if first.lineno > node.lineno: return lines[node.lineno-1:first.lineno-1]
    return [lines[node.lineno-1][:first.col_offset].rstrip()]

def signature(node, source):
    "How a function or class is called, as its source says it"
    lines = source.splitlines()
    if not isinstance(node, ast.ClassDef): return '\n'.join(head(node, lines))
    made = [o for o in node.body if isinstance(o, ast.FunctionDef) and o.name == '__init__']
    inner = fields(node, lines) or (head(made[0], lines) if made else [])
    return '\n'.join(head(node, lines)[:1] + inner)

def sources(nb):
    "Name -> (definition, source of its cell) of what a notebook exports; methods as 'Class.method'"
    found = {}
    for c in nb['cells']:
        if not is_exported(c): continue
        for o in ast.parse(src(c)).body:
            if not isinstance(o, (ast.FunctionDef, ast.ClassDef)): continue
            found[o.name] = o, src(c)
            if isinstance(o, ast.ClassDef):
                found |= {f'{o.name}.{m.name}': (m, src(c)) for m in o.body if isinstance(m, ast.FunctionDef)}
    return found

def plain(t, name, known):
    "A description whose signature can be read: without links, without types that say nothing, from the source where nbdev shows none"
    def one(m):
        code = re.sub(r'\[(`[^`]*`)\]\([^)]*\)', r'\1', m[1]).replace(':NoneType=', '=')
        if opaque.search(code) and name in known: code = signature(*known[name]) + '\n'
        return f'```python\n{code}```'
    described = name in known and ast.get_docstring(known[name][0])
    return fence.sub(one, t).replace('*Call self as a function.*', f'*{described}*' if described else '')

def help_of(*words):
    "The help of a command at 80 columns"
    env = {**os.environ, 'COLUMNS': '80', 'NO_COLOR': '1', 'TERM': 'dumb', 'PYTHONIOENCODING': 'utf-8'}
    p = subprocess.run([sys.executable, '-m', *words, '--help'], env=env, cwd=root, capture_output=True, text=True, check=True)
    return '\n'.join(o.rstrip() for o in p.stdout.strip('\n').splitlines()).strip('\n')

def helps():
    "Function of a command -> (the command as it is typed, its help)"
    import typer
    from mcrm_nb.cli import app
    def visit(command, words):
        for name, o in getattr(command, 'commands', {}).items(): yield from visit(o, [*words, name])
        if command.callback and len(words) > 1: yield command.callback.__name__, words
    for f, words in visit(typer.main.get_command(app), ['mcrm_nb']): yield f, (' '.join(words), help_of(*words))

def shown(cell):
    "What a cell of nbdev's describes: the name in `show_doc(...)`"
    m = re.search(r'^show_doc\(([\w.]+)', src(cell), re.M) if cell['cell_type'] == 'code' else None
    return m and m[1]

def markdown(nb):
    "Every Markdown text of a page, as (where it is kept, its key)"
    for c in nb['cells']:
        if c['cell_type'] == 'markdown': yield c, 'source'
        for o in c.get('outputs', []):
            if 'text/markdown' in o.get('data', {}): yield o['data'], 'text/markdown'

def stay(t, path, there):
    "A text whose links into the site are relative; a link to a place that is not there, or of a word that means something else, goes"
    def one(m):
        word, to, at = m[1], m[2].removesuffix('.html') or 'index', m[3]
        if to not in there or (at and at not in there[to]) or word.strip('`')[:1] == '_': return word
        if (path.stem, word.strip('`')) in other_meaning: return word
        return f"[{word}]({posixpath.relpath(to, room(path) or '.')}.html{'#' + at if at else ''})"
    return site_link.sub(one, t)

def page_links(path):
    "What a reader can do with the page, below its title: run it, or take it home"
    repo, at = cfg['git_url'], f"{cfg['branch']}/{rel(path)}"
    colab = repo.replace('https://github.com', 'https://colab.research.google.com/github')
    # Without its question mark, Quarto would look for a page of this name
    home = f"{'../' * bool(room(path))}downloads/{path.relative_to(nbs).as_posix()}?download"
    return f'::: {{.page-links}}\n[Open in Colab]({colab}/blob/{at}) · [Download the notebook]({home}){{download="{path.name}"}}\n:::'

def all_commands(said):
    "The cell that the page of the command line begins with"
    return dict(cell_type='markdown', id='all-commands', metadata={}, source=f'```text\n{said}\n```'.splitlines(True))

def finish(books):
    "Finish all staged pages: `books` holds (notebook's path, notebook, staged notebook, which is changed)"
    commands = dict(helps())
    for path, nb, staged in books:
        known = sources(nb)
        for c in staged['cells']:
            # These pages answer questions; how it is programmed can be opened
            if room(path) in answering: c['source'] = src(c).replace('#| code-fold: show', '#| code-fold: true').splitlines(True)
            if not (name := shown(c)): continue
            for o in c['outputs']:
                if 'text/markdown' not in (data := o.get('data', {})): continue
                t = plain(text(data['text/markdown']), name, known)
                if path.stem == '00_command_line' and name in commands:
                    typed, said = commands[name]
                    t = f"{t.split('### ')[0]}### {typed} {{#{name.lower()}}}\n\n```text\n{said}\n```\n"
                data['text/markdown'] = t.splitlines(True)
        if path.stem == '00_command_line': staged['cells'].insert(3, all_commands(help_of('mcrm_nb')))
    there = {page(path).removeprefix('./'): {*places(text(at[key]) for at, key in markdown(staged))} for path, _, staged in books}
    for path, _, staged in books:
        for at, key in markdown(staged): at[key] = stay(text(at[key]), path, there).splitlines(True)
        if path.stem != 'index':
            staged['cells'].insert(1, dict(cell_type='markdown', id='page-links', metadata={}, source=page_links(path).splitlines(True)))

def faults(staged):
    "What must not be left on a staged page"
    for at, key in markdown(staged):
        t = text(at[key])
        if isinstance(at[key], str) and ':::' in t: yield 'a fenced block is kept as one string, so Quarto shows its fence'
        if m := site_link.search(t): yield f'{m[0]} leads to the published site'
        for code in fence.findall(t):
            if re.search(r'\]\(\S', code): yield f'a raw link in a signature: {code[:60]!r}'
            if opaque.search(code): yield f'a signature that says nothing: {code[:60]!r}'
        prose = re.sub(r'\$[^$]*\$|`[^`]*`', '', re.sub(r'\$\$.*?\$\$|```.*?```', '', t, flags=re.S))
        if m := re.search(r'.{0,20}(?<![-\w|:<!])--[a-z].{0,20}', prose): yield f'Quarto makes a dash of `--` outside backticks: {m[0]!r}'

def strip_scripts(t):
    "A page without what Quarto loads from elsewhere and no page uses: require.js and jQuery"
    t = re.sub(r'<script[^>]*\bsrc="https?://[^"]*(require|jquery)[^"]*"[^>]*></script>\s*', '', t)
    return re.sub(r"<script[^>]*>\s*define\('jquery'.*?</script>\s*", '', t, flags=re.S)

def loaded(t):
    "What a page loads from other hosts"
    for tag, link in re.findall(r'<(script|link|img)\b[^>]*?\b(?:src|href)="(https?://[^"]*)"', t):
        if not (tag == 'link' and link.startswith(site)): yield html.unescape(link)
