"What the tools share: where things are, which notebooks there are, how nbdev reads a cell."
import json, re
from configparser import ConfigParser
from pathlib import Path

root = Path(__file__).resolve().parent.parent
_cp = ConfigParser(delimiters=['='])
_cp.read(root/'settings.ini', encoding='utf-8')
cfg = _cp['DEFAULT']
nbs, lib = root/cfg['nbs_path'], root/cfg['lib_path']
flags = cfg['tst_flags'].split()


def rel(path): return Path(path).resolve().relative_to(root).as_posix()

# Folders of notebooks and packages of the library, in the order in which they are read and may import each other
rooms = ['', 'layers', 'kernels', 'tasks', 'training', 'runs', 'studies', 'analysis', 'tool']

def room(path):
    "The folder of a notebook below nbs/: '' at the top"
    return path.relative_to(nbs).parent.as_posix().removeprefix('.')

def notebooks():
    "Every notebook that nbdev tests, in reading order (found without nbdev's help)"
    ps = (p for p in nbs.rglob('*.ipynb') if not any(o[0] in '_.' for o in p.relative_to(nbs).parts))
    return sorted(ps, key=lambda p: (rooms.index(r) if (r := room(p)) in rooms else len(rooms), p.relative_to(nbs)))

def find(names):
    "The notebooks that `names` (paths, also without folder or ending) mean; all of them without names"
    every, found = notebooks(), []
    for n in names:
        ways = lambda p: (p.name, p.stem, s := p.relative_to(nbs).as_posix(), s.removesuffix('.ipynb'))
        hits = [p for p in every if Path(n).resolve() == p] or [p for p in every if n in ways(p)]
        if len(hits) != 1: raise SystemExit(f'{n}: {"no such notebook" if not hits else "ambiguous name"}')
        found += hits
    return found or every

def read(path): return json.loads(Path(path).read_text(encoding='utf-8'))

def text(o):
    "Notebooks store text as a string or as a list of lines"
    return o if isinstance(o, str) else ''.join(o or [])

def src(cell): return text(cell['source'])

_lead = re.compile(r'\s*#\s*\||\s*%%\w|\s*$')

def split(source):
    "The leading lines in which nbdev looks for directives, and the rest"
    lines = source.splitlines(True)
    n = next((i for i,l in enumerate(lines) if not _lead.match(l)), len(lines))
    return ''.join(lines[:n]), ''.join(lines[n:])

def directives(cell):
    "`{word: argument}` as nbdev reads them: `word:` keeps its colon where a value follows"
    if cell['cell_type'] != 'code': return {}
    found = re.findall(r'^\s*#\s*\|(.*)$', split(src(cell))[0], re.M)
    words = (re.sub(r':\s*$', '', o).replace(':', ': ', 1).split(None, 1) for o in found)
    return {w[0]: w[1].strip() if len(w) > 1 else '' for w in words if w}

def why_skipped(cell, forced=()):
    "The flags (or `eval: false`) that keep a code cell from being run, if any"
    d = directives(cell)
    if d.get('eval:', '').lower() == 'false': return ['eval: false']
    return [f for f in flags if f in d and f not in forced]

exporting = {'export', 'exports', 'exporti'}

def is_exported(cell): return bool(exporting & directives(cell).keys())

def page(path):
    "Where nbdev puts a notebook on the site, without the ending"
    return (path.parent.relative_to(nbs)/re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.stem.lower())).as_posix()

def places(texts):
    "What `#...` can lead to in texts of Markdown: headings as pandoc names them, and ids written by hand"
    for t in texts:
        yield from re.findall(r'\{#([\w.-]+)', t)
        for h in re.findall(r'^#{1,6}\s+(.*)$', re.sub(r'^```.*?^```', '', t, flags=re.M | re.S), re.M):
            words = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', re.sub(r'\{[^}]*\}', '', h)).strip().lower()
            yield re.sub(r'^[^a-z]+', '', re.sub(r'\s+', '-', re.sub(r'[^\w\s.-]', '', words)))
