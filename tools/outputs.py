"""Whether a cell says what its stored output says. `#| varies` marks cells whose output depends on data or time.

Other versions of the libraries may print other words, so `versions.json` has those with which pages were rendered last."""
import json, re, sys
from importlib.metadata import version

from project import root, text

rendered_with = root/'tools'/'versions.json'
def versions():
    "Versions of Python and of the libraries that print what pages show"
    found = {k: version(k) for k in ('fastai', 'matplotlib', 'numpy', 'pandas', 'rich', 'torch', 'typer')}
    return {'python': '.'.join(map(str, sys.version_info[:2])), **found}

def others():
    "Names of what has another version here than when the pages were rendered"
    then = json.loads(rendered_with.read_text())
    return [k for k, v in versions().items() if v != then[k]]

address, figure = re.compile(r' at 0x[0-9a-f]+'), re.compile(r'\s*<[\w.]*[^<>]*>\s*')
number = re.compile(r'[^\s<>]*\d[^\s<>]*|\b(?:nan|NaN|inf)\b')   # with what is written to it
blank = re.compile(r'[\s\-━─╸]+')

def said(outputs):
    "All printed text, then the texts that are displayed; pictures and the names of objects in brackets are left out"
    printed = ''.join(text(o['text']) for o in outputs if o['output_type'] == 'stream' and o.get('name') == 'stdout')
    kinds = 'text/markdown', 'text/html', 'text/plain'
    shown = [text(next((d[k] for k in kinds if k in d), '')) for o in outputs if (d := o.get('data'))]
    return [address.sub('', s) for s in (printed, *(s for s in shown if not figure.fullmatch(s)))]

def words(texts): return [blank.sub(' ', number.sub('#', s)).strip() for s in texts]

def difference(
    stored, # Outputs in the notebook
    fresh,  # Outputs of a run
)->str:     # 'words', 'numbers' or ''
    "What differs between two lists of outputs"
    a, b = said(stored), said(fresh)
    return 'words' if words(a) != words(b) else 'numbers' if a != b else ''
